"use strict";
// What the page holds, decoded where it is needed. An array comes as {type, data}: base64 of little-endian numbers.

const PAGE = JSON.parse(document.getElementById("data").textContent);
const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };

function numbers(packed) {
  return new TYPES[packed.type](Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0)).buffer);
}

// Bytes 0 .. 254 as 0 .. most; 255 is not known.
function fractions(packed, most = 1) {
  return Float32Array.from(numbers(packed), (code) => (code === 255 ? NaN : (code / 254) * most));
}

// The code of what is not known, the largest there is.
const unknownCode = (codes) => 256 ** codes.BYTES_PER_ELEMENT - 1;

// start, count: the elements of `drawn` that each anchor has; offset: where its values begin.
function decodeAnswer(answer, anchors) {
  if (!answer) return null;
  const count = numbers(answer.count);
  const offset = [];
  count.reduce((sum, some) => (offset.push(sum), sum + some), 0);
  const errors = fractions(answer.errors, PAGE.mostError);
  return {
    start: numbers(answer.start), count, offset, values: numbers(answer.values),
    errors, bins: errors.length / anchors, overall: numbers(answer.overall), reach: answer.reach,
  };
}

const decoded = new Map();

function rowData(number) {
  if (!decoded.has(number)) {
    const row = PAGE.rows[number];
    const anchors = numbers(row.anchors);
    decoded.set(number, {
      ...row, anchors, places: numbers(row.places), drawn: numbers(row.drawn), truth: numbers(row.truth),
      answers: row.answers.map((found) => ({
        classes: found.classes && numbers(found.classes),
        probabilities: found.probabilities && fractions(found.probabilities),
        followed: found.followed && fractions(found.followed),
        past: decodeAnswer(found.past, anchors.length),
        future: decodeAnswer(found.future, anchors.length),
      })),
    });
  }
  return decoded.get(number);
}

// How many of the sorted numbers lie below `limit`.
function countBelow(sorted, limit) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
