// Fills the parts of a page and keeps them new. Asks for news every few seconds, and for a part if the store
// has changed and the part is in view or near. What a reader does stays: the place on the page, open tables,
// the focus, and a selection of text (a part with one is exchanged later).
"use strict";
(() => {
  // A link with a token that is opened again needs it no more: the cookie is there.
  if (location.hash.startsWith("#token=")) history.replaceState(null, "", location.pathname + location.search);

  const main = document.getElementById("content");
  const statusLine = document.getElementById("status");
  const problemLine = document.getElementById("problem");
  const period = Number(main.dataset.seconds) * 1000;
  const LONGEST = 30000;
  const parts = [...main.querySelectorAll("[data-part]")].map((box) => ({
    box, url: box.dataset.part, always: "always" in box.dataset, tag: "", version: null, isNear: false,
  }));
  let newest = null, newsTag = "", wait = period, isBusy = false, timer = 0;

  const FOCUSABLE = "a, summary, button, input, [tabindex]";

  function remembered(box) {
    const focusable = [...box.querySelectorAll(FOCUSABLE)];
    return {
      open: [...box.querySelectorAll("details")].map((item) => item.open),
      scrolled: [...box.querySelectorAll(".scroll")].map((item) => ({
        left: item.scrollLeft,
        top: item.scrollTop,
        atEnd: item.classList.contains("log") && item.scrollTop + item.clientHeight >= item.scrollHeight - 4,
      })),
      focus: focusable.indexOf(document.activeElement),
    };
  }

  function restore(box, kept, isFirst) {
    box.querySelectorAll("details").forEach((item, i) => { item.open = Boolean(kept.open[i]); });
    box.querySelectorAll(".scroll").forEach((item, i) => {
      const before = kept.scrolled[i];
      if (item.classList.contains("log") && (isFirst || !before || before.atEnd)) item.scrollTop = item.scrollHeight;
      else if (before) { item.scrollLeft = before.left; item.scrollTop = before.top; }
    });
    const focusable = box.querySelectorAll(FOCUSABLE);
    if (kept.focus >= 0 && focusable[kept.focus]) focusable[kept.focus].focus({ preventScroll: true });
  }

  function holdsSelection(box) {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed && selection.rangeCount > 0
      && selection.getRangeAt(0).intersectsNode(box);
  }

  // The first part that reaches into the window: what is read stays where it is when parts above it grow.
  function anchor() {
    return parts.find((part) => part.box.getBoundingClientRect().bottom > 0) || parts[0];
  }

  function exchange(part, text) {
    const kept = remembered(part.box), held = anchor();
    const before = held.box.getBoundingClientRect().top;
    const read = new DOMParser().parseFromString(text, "text/html");
    part.box.replaceChildren(...read.body.childNodes);
    restore(part.box, kept, part.tag === "");
    const moved = held.box.getBoundingClientRect().top - before;
    if (moved !== 0 && window.scrollY > 0) window.scrollBy({ top: moved, behavior: "instant" });
  }

  async function ask(url, tag) {
    const headers = tag ? { "If-None-Match": `"${tag}"` } : {};
    return fetch(url, { headers, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(120000) });
  }

  function tagOf(answer) {
    return (answer.headers.get("ETag") || "").replace(/^W\//, "").replaceAll('"', "");
  }

  async function load(part) {
    const version = newest;
    if (holdsSelection(part.box)) return;
    const answer = await ask(part.url, part.tag);
    if (answer.status === 200) {
      const text = await answer.text();
      if (holdsSelection(part.box)) return;
      exchange(part, text);
      part.tag = tagOf(answer);
    } else if (answer.status === 401) {
      location.reload();
    } else if (answer.status !== 304) {
      if (part.tag === "") part.box.querySelector("p").textContent = await answer.text();
      return;
    }
    part.version = version;
  }

  async function refresh() {
    if (isBusy) return;
    isBusy = true;
    try {
      const tried = new Set();
      for (;;) {
        const part = parts.find((one) => one.isNear && one.version !== newest && !tried.has(one));
        if (!part) break;
        tried.add(part);
        await load(part);
      }
    } finally {
      isBusy = false;
    }
  }

  function say(line, words) {
    if (line.textContent !== words) line.textContent = words;
  }

  function sayProblem(words) {
    say(problemLine, words);
    problemLine.hidden = words === "";
  }

  async function tick() {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        const answer = await ask(main.dataset.news, newsTag);
        if (answer.status === 401) return location.reload();
        if (answer.status === 200) {
          const news = await answer.json();
          newsTag = tagOf(answer);
          newest = news.version;
          say(statusLine, news.status);
          sayProblem(news.problem);
        } else if (answer.status !== 304) {
          sayProblem(await answer.text());
        } else if (problemLine.dataset.away) {
          newsTag = "";  // what it said before is asked for again
        }
        delete problemLine.dataset.away;
        for (const part of parts) if (part.always) part.version = null;
        await refresh();
        wait = newsTag.endsWith("-0") ? period / 4 : period;  // the first reading is not done yet
      } catch (error) {
        problemLine.dataset.away = "yes";
        sayProblem("The board does not answer; it may have ended. What is below is of the last answer. The page tries again.");
        wait = Math.min(wait * 2, LONGEST);
      }
    }
    timer = setTimeout(tick, wait);
    return undefined;
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const part = parts.find((one) => one.box === entry.target);
      part.isNear = entry.isIntersecting;
    }
    if (newest !== null) refresh().catch(() => {});
  }, { rootMargin: "600px 0px" });
  parts.forEach((part) => near.observe(part.box));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
  tick();
})();
