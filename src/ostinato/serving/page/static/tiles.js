// Tiles of a track: shades from the server, drawn in the colours of the page, kept while they are of use.

import { call } from "./api.js";

export const TILE = 512;
const MOST = 160;

const channel = (name) => {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim().slice(1);
  return [0, 2, 4].map((at) => parseInt(text.slice(at, at + 2), 16));
};

// Shade to colour: 0 the cool one, 127 the ground, 254 the warm one; 255, no number, the edge's.
export function palette() {
  const [cool, ground, warm, edge] = ["--cool-end", "--raised", "--warm-end", "--edge"].map(channel);
  const found = new Uint32Array(256);
  for (let shade = 0; shade < 256; shade += 1) {
    const share = Math.abs(shade - 127) / 127, end = shade < 127 ? cool : warm;
    const mixed = shade === 255 ? edge : ground.map((one, at) => Math.round(one + (end[at] - one) * share));
    found[shade] = (255 << 24) | (mixed[2] << 16) | (mixed[1] << 8) | mixed[0];
  }
  return found;
}

export class Tiles {
  // base: address of the track; drawn: called when a tile has come; failed: with an error.
  constructor(base, numSteps, drawn, failed) {
    Object.assign(this, { base, numSteps, drawn, failed, kept: new Map(), waiting: new Set(), colours: palette(), order: null });
  }

  look(series, units, kind, scale, order) {
    const key = `${series}|${kind}|${scale}`;
    if (this.key !== key) { this.kept.clear(); this.waiting.clear(); }
    else if (this.order !== order) for (const one of this.kept.values()) one.image = null;
    Object.assign(this, { key, series, units, kind, scale, order });
  }

  recolour() {
    this.colours = palette();
    for (const one of this.kept.values()) one.image = null;
  }

  // A tile's picture, (columns x units); null while it is on its way.
  get(zoom, number, fetchIt = true) {
    const at = `${zoom}/${number}`, found = this.kept.get(at);
    if (found) {
      this.kept.delete(at); this.kept.set(at, found);
      return (found.image ??= this.#image(found.shades));
    }
    if (fetchIt) this.#fetch(zoom, number, at);
    return null;
  }

  // Into a context: steps first … first + span over x from 0 to width, rows of units from top on over y. Whether all was there.
  draw(context, first, span, width, y, height) {
    const zoom = Math.max(0, Math.round(Math.log2(span / width))), size = TILE * 2 ** zoom;
    let whole = true;
    context.save();
    context.beginPath(); context.rect(0, y, width, height); context.clip();
    context.imageSmoothingEnabled = span / width > 2 ** zoom;
    const place = (image, begin, steps) => context.drawImage(image, ((begin - first) / span) * width, y, (image.width * steps / span) * width, height);
    const last = Math.min(first + span, this.numSteps);
    for (let number = Math.max(0, Math.floor(first / size)); number * size < last; number += 1) {
      const image = this.get(zoom, number);
      if (image) { place(image, number * size, 2 ** zoom); continue; }
      whole = false;
      for (let up = 1; up < 12; up += 1) {  // meanwhile a coarser one
        const coarse = this.get(zoom + up, number >> up, false);
        if (!coarse) continue;
        context.save(); context.beginPath();
        context.rect(((number * size - first) / span) * width, y, (size / span) * width, height); context.clip();
        place(coarse, (number >> up) * TILE * 2 ** (zoom + up), 2 ** (zoom + up));
        context.restore();
        break;
      }
    }
    context.restore();
    clearTimeout(this.soon);
    if (whole) this.soon = setTimeout(() => {  // what is likely to be wanted next, once it rests
      const numbers = [Math.floor(last / size) + 1, Math.floor(first / size) - 1];
      for (const number of numbers) if (number >= 0 && number * size < this.numSteps) this.get(zoom, number);
      this.get(zoom + 1, Math.floor(first / size / 2));
    }, 250);
    return whole;
  }

  async #fetch(zoom, number, at) {
    if (this.waiting.has(at)) return;
    this.waiting.add(at);
    const { key, series, kind, scale } = this;
    try {
      const words = new URLSearchParams({ series, zoom, number, kind, scale });
      const shades = await call(`${this.base}/tile?${words}`, { bytes: true });
      if (key !== this.key) return;
      this.kept.set(at, { shades, image: null });
      if (this.kept.size > MOST) this.kept.delete(this.kept.keys().next().value);
      this.drawn();
    } catch (error) { if (key === this.key) this.failed(error); } finally { if (key === this.key) this.waiting.delete(at); }
  }

  #image(shades) {
    const { units, order, colours } = this, columns = Math.max(1, shades.length / units);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [columns, units];
    const context = canvas.getContext("2d"), image = context.createImageData(columns, units);
    const pixels = new Uint32Array(image.data.buffer);
    for (let row = 0; row < units; row += 1) {
      const unit = order ? order[row] : row;
      for (let column = 0; column * units < shades.length; column += 1) pixels[row * columns + column] = colours[shades[column * units + unit]];
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }
}
