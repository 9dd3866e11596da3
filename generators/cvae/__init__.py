"""The conditional VAE: network, loss, training, and the generators made of them."""
