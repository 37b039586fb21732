// A frame on a canvas: grey from the darkest to the brightest pixel, or colours as they are.

const TYPES = {
  "|u1": Uint8Array, "|b1": Uint8Array, "|i1": Int8Array, "<u2": Uint16Array, "<i2": Int16Array,
  "<u4": Uint32Array, "<i4": Int32Array, "<f4": Float32Array, "<f8": Float64Array,
};

export function draw(canvas, frame) {
  const type = TYPES[frame.dtype], [height, width, colours = 1] = frame.shape;
  if (type === undefined || !width || !height) return false;
  const pixels = new type(frame.data.slice().buffer);  // aligned as its type wants it
  const image = new ImageData(width, height);
  let low = Infinity, high = -Infinity;
  for (const pixel of pixels) { if (pixel < low) low = pixel; if (pixel > high) high = pixel; }
  const plain = colours >= 3 && type === Uint8Array;
  const scale = plain ? 1 : 255 / (high - low || 1), from = plain ? 0 : low;
  for (let n = 0; n < width * height; n++) {
    for (let c = 0; c < 3; c++) {
      image.data[4 * n + c] = (pixels[n * colours + (colours >= 3 ? c : 0)] - from) * scale;
    }
    image.data[4 * n + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return true;
}
