// One picture at a time, in an order of the rater's own; answers leave as a CSV file.
const NAMES = ["bad", "poor", "fair", "good", "excellent"];
const at = (id) => document.getElementById(id);
const images = [...document.querySelectorAll("#stage img")];
for (let i = images.length - 1; i > 0; i--) {
  const j = Math.floor(Math.random() * (i + 1));
  [images[i], images[j]] = [images[j], images[i]];
}
const lines = ["rater,item,score,page"];
let shown = 0;

function show() {
  images.forEach((image, i) => (image.hidden = i !== shown));
  at("count").textContent = `${shown + 1} of ${images.length}`;
  if (shown < images.length) return;
  at("rate").hidden = true;
  at("end").hidden = false;
  const save = at("save");
  save.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
  save.download = `ratings-${at("rater").value.replace(/[^\w-]/g, "_")}.csv`;
}

NAMES.forEach((name, i) => {
  const button = document.createElement("button");
  button.textContent = `${i + 1} ${name}`;
  button.addEventListener("click", () => {
    const rater = at("rater").value.replace(/[\r\n]/g, " ");
    lines.push(`${rater},${images[shown].dataset.item},${i + 1},${at("stage").dataset.page}`);
    shown += 1;
    show();
  });
  at("scores").append(button, " ");
});

at("start").addEventListener("submit", (event) => {
  event.preventDefault();
  at("start").hidden = true;
  at("rate").hidden = false;
  show();
});
