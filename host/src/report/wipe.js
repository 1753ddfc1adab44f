// Each slider cuts its "before" picture at its own value.
for (const wipe of document.querySelectorAll(".wipe")) {
  const slider = wipe.querySelector("input");
  const show = () => {
    const share = slider.value;
    wipe.querySelector(".before").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
    wipe.querySelector(".line").style.left = `${share}%`;
  };
  slider.addEventListener("input", show);
  show();
}
