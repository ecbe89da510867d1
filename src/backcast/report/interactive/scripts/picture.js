// Rows that are pictures: every element in its place, whatever the order in which they are read.

const ORDER = PAGE.picture && PAGE.picture.order && numbers(PAGE.picture.order);
const FAINT = 55, SOLID = 255;

function pictureCanvas(label) {
  const { width, height } = PAGE.picture;
  const canvas = create("canvas", { width, height, role: "img", "aria-label": label });
  canvas.style.width = `calc(var(--tall) * ${width / height})`; // as tall as all pictures, and at most as wide as there is room
  return canvas;
}

// Elements `first` .. `first + count - 1` with their codes; those from step `unread` on are faint.
function drawPicture(canvas, codes, first, count, unread = Infinity) {
  const channels = PAGE.channels.length;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < count; i++) {
    const step = first + i, from = i * channels;
    if (codes[from] === 255) continue;
    const pixel = 4 * (ORDER ? ORDER[step] : step);
    for (let c = 0; c < 3; c++) image.data[pixel + c] = (codes[from + (channels < 3 ? 0 : c)] * 255) / 254;
    image.data[pixel + 3] = step < unread ? SOLID : FAINT;
  }
  context.putImageData(image, 0, 0);
}

const pictureView = {
  caption: () =>
    (ORDER ? "Its pixels are read in a fixed random order" : "Read line by line, a pixel a step") +
    "; faint: not read yet. Click a pixel to go there.",

  read(host, row, step) {
    if (!host.firstChild) host.append(pictureCanvas("the picture; what has not been read is faint"));
    drawPicture(host.firstChild, row.truth, 0, row.steps, step);
  },

  // The step at which the pixel under the pointer has just been read.
  stepAt(event, row) {
    if (event.target.tagName !== "CANVAS") return null;
    const box = event.target.getBoundingClientRect(), { width, height } = PAGE.picture;
    const across = Math.floor(((event.clientX - box.left) / box.width) * width);
    const down = Math.floor(((event.clientY - box.top) / box.height) * height);
    const pixel = Math.min(Math.max(down, 0), height - 1) * width + Math.min(Math.max(across, 0), width - 1);
    return (ORDER ? ORDER.indexOf(pixel) : pixel) + 1;
  },

  truth(host, row, step) {
    const canvas = host.querySelector("canvas") || host.appendChild(pictureCanvas("the truth, as far as it was read"));
    drawPicture(canvas, row.truth, 0, step);
  },

  answer(host, row, answer, anchor, group, kind) {
    const canvas = host.querySelector("canvas") || host.appendChild(pictureCanvas(`${kind} by ${group.name}`));
    const channels = PAGE.channels.length;
    const codes = answer.values.subarray(answer.offset[anchor] * channels);
    drawPicture(canvas, codes, answer.start[anchor], answer.count[anchor]);
  },
};
