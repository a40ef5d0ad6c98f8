/* The message: what it told of goes when its time is over, what was wrong when somebody has gone on for a while. */
(function () {
    "use strict";

    const {ROOT} = window.trainyard;

    const TIME = 30000; // ms

    let told = null;
    let since = null;

    const shown = () => document.querySelector(`#${ROOT}_message p:not([hidden])`);
    const isOf = (kind, message) => message.classList.contains(`${ROOT}-${kind}`);

    function round(event) {
        const message = shown();
        if (!message) return;
        const now = performance.now();
        if (told !== message.dataset.at) {
            told = message.dataset.at;
            since = isOf("wrong", message) ? null : now;
        }
        const {status} = event.detail;
        const goesOn = status && status.running && status.run && status.run.state === "running";
        if (goesOn && isOf("ending", message)) since = now;
        if (since !== null && now - since > TIME) message.hidden = true;
    }

    /* What was wrong stays as long as it may be needed to mend it; a press says it anew. */
    function goOn(event) {
        const root = document.getElementById(ROOT);
        const message = shown();
        if (!message || !isOf("wrong", message) || !event.isTrusted || !root.contains(event.target)) return;
        since = performance.now();
    }

    document.addEventListener("trainyard-round", round);
    for (const event of ["click", "input"]) document.addEventListener(event, goOn);
})();
