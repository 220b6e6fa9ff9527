// Draws a photo at the screen's size in the model's colors with hints, away from the page, which stays responsive.
import { invert, measured, paint } from "./painting.js";

let photo = null; // { rgba, width, height, colors, L }; as a positive

self.addEventListener("message", ({ data }) => {
  const { session } = data;
  try {
    if (data.photo) {
      const { rgba, width, height, colors, negative } = data.photo;
      if (negative) invert(rgba);
      const L = new Float32Array(width * height);
      measured(colors)(rgba, L);
      photo = { rgba, width, height, colors, L };
    } else {
      const { width, height, colors, L } = photo, rgba = photo.rgba.slice();
      paint(rgba, width, height, colors, data.look, (y) => L.subarray(y * width, (y + 1) * width));
      self.postMessage({ session, rgba, width, height }, [rgba.buffer]);
    }
  } catch (error) {
    self.postMessage({ session, error: error.message });
  }
});
