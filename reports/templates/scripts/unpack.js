"use strict";
// The report's own name space, and its data: read back as the Python module `packing` wrote them.
const report = { listeners: [] };

report.unpack = async function (block) {
  const bytes = Uint8Array.from(atob(block.data), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = block.count, size = block.kind === "d" ? 8 : 4;
  const plain = new Uint8Array(size * count);
  for (let place = 0; place < size; place++) {
    for (let at = 0; at < count; at++) plain[size * at + place] = planes[place * count + at];
  }
  if (block.kind === "d") return new Float64Array(plain.buffer);
  if (block.kind === "f") return new Float32Array(plain.buffer);
  const steps = new Int32Array(plain.buffer);
  const values = new Float64Array(count);
  for (let at = 0, sum = 0; at < count; at++) values[at] = sum += steps[at];
  return values;
};

// Everything in a tree that was packed, unpacked at the same places.
report.unpackAll = async function (tree) {
  if (Array.isArray(tree)) return Promise.all(tree.map(report.unpackAll));
  if (tree === null || typeof tree !== "object") return tree;
  if ("kind" in tree && "data" in tree) return report.unpack(tree);
  const entries = Object.entries(tree).map(async ([name, one]) => [name, await report.unpackAll(one)]);
  return Object.fromEntries(await Promise.all(entries));
};

// Starts the page with its data: where a browser lacks something, the figures drawn beforehand stay.
report.start = async function (fill) {
  const source = document.getElementById("run-data");
  if (!source || !("DecompressionStream" in window)) return;
  const data = await report.unpackAll(JSON.parse(source.textContent));
  document.documentElement.classList.add("live");
  fill(data);
  document.documentElement.dataset.ready = "true";
};

// The last row whose value is at or below `wanted` in a rising array; -1 before the first.
report.rowOf = function (values, wanted) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= wanted) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};
