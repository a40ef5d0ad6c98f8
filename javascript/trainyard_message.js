/* The message below the buttons: answers disappear after a while, errors once the user has continued, and what became of
 * another program's settings with the next message. */
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
            since = ["wrong", "account"].some((kind) => isOf(kind, message)) ? null : now;
        }
        const {status} = event.detail;
        const goesOn = status && status.running && status.run && status.run.state === "running";
        if (goesOn && isOf("ending", message)) since = now;
        if (since !== null && now - since > TIME) message.hidden = true;
    }

    /* An error stays as long as it may be needed; the next click shows it again. */
    function goOn(event) {
        const root = document.getElementById(ROOT);
        const message = shown();
        if (!message || !isOf("wrong", message) || !event.isTrusted || !root.contains(event.target)) return;
        since = performance.now();
    }

    document.addEventListener("trainyard-round", round);
    for (const event of ["click", "input"]) document.addEventListener(event, goOn);
})();
