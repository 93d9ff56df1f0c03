// Sends the token in a header, so that it stands in no address. A link may bring it behind a # (browsers send
// that to nobody); it is taken out of the address at once.
"use strict";
(() => {
  const form = document.getElementById("enter");
  const field = document.getElementById("token");
  const answerLine = document.getElementById("answer");

  async function enter(token) {
    try {
      const answer = await fetch(form.dataset.enter, {
        headers: { Authorization: `Bearer ${token}` }, credentials: "same-origin", redirect: "manual", cache: "no-store",
      });
      if (answer.type === "opaqueredirect" || answer.ok) return location.reload();
      answerLine.textContent = "This is not the token of this board.";
    } catch (error) {
      answerLine.textContent = "The token could not be sent: it has characters that no token has, or the board has ended.";
    }
    field.select();
    return undefined;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    enter(field.value.trim());
  });
  if (location.hash.startsWith("#token=")) {
    const token = decodeURIComponent(location.hash.slice("#token=".length));
    history.replaceState(null, "", location.pathname + location.search);
    enter(token);
  }
})();
