"use strict";
// The one script: copy buttons. Without it they stay hidden, and one click on a
// value marks the whole of it.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const label = button.textContent;
    let timer;
    button.hidden = false;
    button.addEventListener("click", async () => {
      clearTimeout(timer);
      try {
        await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not copied";
      }
      timer = setTimeout(() => { button.textContent = label; }, 2000);
    });
  }
}
