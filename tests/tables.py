"""Small tables of curves over density, as evaluation writes them."""

CURVES = """generator,descriptor,density,mean,low,high,n
real,specific_surface,0.2,0.1,0.05,0.2,9
real,specific_surface,0.6,0.3,0.2,0.4,9
pca,specific_surface,0.2,0.2,0.1,0.3,9
pca,specific_surface,0.6,0.4,0.3,0.5,9
"""
CALIBRATION = """generator,exact_count,trained,density,target,mean,sd,low,high,bias,n
real,,True,0.5,100,101,9,80,120,1,9
pca,yes,True,0.5,100,100,0,100,100,0,9
pca,no,False,0.1,1,3,1,2,4,200,9
pca,no,True,0.5,100,130,5,120,140,30,9
"""
