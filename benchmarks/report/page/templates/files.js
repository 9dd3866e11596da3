// Files of one volume, made from its bits (1 = pore, width fastest) in parts for a Blob, as `porebench sample` writes them.
function nrrdFile(bits, [depth, height, width], edge, unit) {
  const thrice = (text) => [text, text, text].join(" ");
  const units = unit ? `units: ${thrice(`"${unit}"`)}\n` : "";
  const head = `NRRD0004\ntype: uint8\ndimension: 3\nsizes: ${width} ${height} ${depth}\nspacings: ${thrice(edge)}\n${units}encoding: raw\n\n`;
  return [head, bits.map((bit) => (bit ? 0 : 255))];
}

function npyFile(bits, shape) {
  const head = `{'descr': '|b1', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  const length = 64 * Math.ceil((head.length + 11) / 64) - 10; // head, spaces and a line's end; a multiple of 64 with the ten bytes before
  const magic = [0x93, ...Array.from("NUMPY", (letter) => letter.charCodeAt(0)), 1, 0, length & 255, length >> 8];
  return [Uint8Array.from(magic), head.padEnd(length - 1) + "\n", bits];
}

function fileName(run, name, index, density, suffix) {
  return `${run}-${name}_${String(index).padStart(3, "0")}_${density.toFixed(3)}.${suffix}`.replace(/[^\w.-]+/g, "-");
}

function saveFile(parts, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
