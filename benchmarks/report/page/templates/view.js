// Pores in three dimensions: the exposed faces of voxels as plotly meshes, made from packed bits.
function unpack(text, count) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return Uint8Array.from({ length: count }, (_, index) => (bytes[index >> 3] >> (index & 7)) & 1);
}

const STEPS = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]];

// Corners and triangles of all faces between a pore and what is no pore, up to a cut across depth: one mesh for the
// faces across each axis, since they are lit differently, and one for pores that the cut goes through.
function surfaces(bits, [depth, height, width], cut) {
  const pore = (z, y, x) => z >= 0 && y >= 0 && x >= 0 && z < depth && y < height && x < width && bits[(z * height + y) * width + x];
  const meshes = Array.from({ length: 4 }, () => ({ x: [], y: [], z: [], i: [], j: [], k: [] }));
  for (let z = 0; z < cut; z++) for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    if (!pore(z, y, x)) continue;
    for (const [dz, dy, dx] of STEPS) {
      const hidden = pore(z + dz, y + dy, x + dx);
      const atCut = dz === 1 && z === cut - 1 && hidden;
      if (!hidden || atCut) addFace(meshes[atCut ? 3 : dz ? 0 : dy ? 1 : 2], [z, y, x], [dz, dy, dx]);
    }
  }
  return meshes;
}

function addFace(mesh, cell, step) {
  const axis = step.findIndex((part) => part !== 0);
  const [first, second] = [0, 1, 2].filter((other) => other !== axis);
  const start = mesh.x.length;
  for (const [a, b] of [[0, 0], [1, 0], [1, 1], [0, 1]]) {
    const corner = [...cell];
    corner[axis] += step[axis] > 0 ? 1 : 0;
    corner[first] += a;
    corner[second] += b;
    mesh.z.push(corner[0]); mesh.y.push(corner[1]); mesh.x.push(corner[2]);
  }
  mesh.i.push(start, start); mesh.j.push(start + 1, start + 2); mesh.k.push(start + 2, start + 3);
}

function traces(bits, shape, cut, colours) {
  const [depth, height, width] = shape;
  const look = { type: "mesh3d", flatshading: true, hoverinfo: "skip", lighting: { ambient: 1, diffuse: 0, specular: 0, fresnel: 0 } };
  const meshes = surfaces(bits, shape, cut).map((mesh, place) => ({ ...look, ...mesh, color: colours[place] }));
  const box = { type: "scatter3d", mode: "lines", hoverinfo: "skip", line: { color: "#8C8C8C", width: 2 }, x: [], y: [], z: [] };
  for (const level of [0, depth, cut]) {
    box.x.push(0, width, width, 0, 0, null); box.y.push(0, 0, height, height, 0, null); box.z.push(level, level, level, level, level, null);
  }
  for (const [x, y] of [[0, 0], [width, 0], [width, height], [0, height]]) { box.x.push(x, x, null); box.y.push(y, y, null); box.z.push(0, depth, null); }
  return [...meshes, box];
}

function sceneLayout([depth, height, width], camera) {
  const axis = (end) => ({ visible: false, range: [0, end], autorange: false });
  const largest = Math.max(depth, height, width);
  return {
    margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", font: { color: ink() },
    scene: { xaxis: axis(width), yaxis: axis(height), zaxis: axis(depth), camera, aspectmode: "manual", aspectratio: { x: width / largest, y: height / largest, z: depth / largest } },
  };
}

function hasWebGL() {
  try { const canvas = document.createElement("canvas"); return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl")); } catch { return false; }
}

function startView(view) {
  const scene = content.scenes[view.dataset.scene];
  const count = scene.shape.reduce((product, length) => product * length, 1);
  const [generator, density, cut] = ["generator", "density", "cut"].map((name) => view.querySelector(`.${name}`));
  const [real, generated] = ["real", "generated"].map((name) => view.querySelector(`.solid.${name}`));
  let camera = { eye: { x: 1.2, y: -1.65, z: 1.05 } };

  function draw() {
    const index = Number(density.value), level = Number(cut.value);
    density.nextElementSibling.value = scene.density[index].toFixed(2);
    cut.nextElementSibling.value = level < scene.shape[0] ? `${level} of ${scene.shape[0]}` : "none";
    for (const [place, name, caption] of [[real, "real", ".caption-real"], [generated, generator.value, ".caption-generated"]]) {
      view.querySelector(caption).textContent = `${name}, porosity ${scene.porosity[name][index].toFixed(3)}`;
      const bits = unpack(scene.bits[name][index], count);
      Plotly.react(place, traces(bits, scene.shape, level, scene.colours), sceneLayout(scene.shape, camera), { ...config, displayModeBar: false });
    }
  }

  draw();
  let following = false; // relayout of one tells the other, which must not answer
  for (const [place, other] of [[real, generated], [generated, real]]) {
    const follow = (event) => {
      if (following || !event["scene.camera"]) return;
      camera = event["scene.camera"];
      following = true;
      Plotly.relayout(other, { "scene.camera": camera }).then(() => { following = false; });
    };
    place.on("plotly_relayouting", follow);
    place.on("plotly_relayout", follow);
  }
  generator.addEventListener("change", draw);
  each("[data-save]", (button) => button.addEventListener("click", () => {
    const name = button.dataset.save === "real" ? "real" : generator.value;
    const index = Number(density.value), { format } = button.dataset;
    const bits = unpack(scene.bits[name][index], count);
    const parts = format === "npy" ? npyFile(bits, scene.shape) : nrrdFile(bits, scene.shape, scene.voxel_size, scene.unit);
    saveFile(parts, fileName(scene.run, name, index, scene.density[index], format));
  }), view);
  for (const slider of [density, cut]) slider.addEventListener("input", draw);
}

const webGL = hasWebGL();
each(".view", (view) => {
  if (!webGL) { view.nextElementSibling.hidden = false; return; }
  view.hidden = false;
  whenSeen(view, () => plotly.then(() => startView(view)));
});
