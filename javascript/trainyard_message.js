/* The message below the buttons: answers disappear after a while, errors once the user has continued or has changed the
 * fields they name, what became of another program's settings with the next message, and what is said of a job that waits
 * once it runs. An account that stands elsewhere on the page is not repeated. */
(function () {
    "use strict";

    const {ROOT, byId} = window.trainyard;

    const TIME = 30000; // ms
    const TO_READ = 5000; // ms, of what is said of a job that runs, or of the end of one that has ended

    let told = null;
    let since = null;
    let seen = 0;
    let wrong = []; // the fields that the message names, with their values when it was said
    let ending = null; // the number of the job that was under way when it was said

    const shown = () => document.querySelector(`#${ROOT}_message .${ROOT}-told:not([hidden])`);
    const ROWS = `:is(.${ROOT}-account-row, .${ROOT}-account-odd)`;
    const ELSEWHERE = [`#${ROOT}_data .${ROOT}-data-summary`, `#${ROOT}_run_status .${ROOT}-run-account`];
    const isOf = (kind, message) => message.classList.contains(`${ROOT}-${kind}`);

    function round(event) {
        const message = shown();
        if (!message) return;
        const now = performance.now();
        const {status} = event.detail;
        if (told !== message.dataset.at) {
            told = message.dataset.at;
            seen = now;
            wrong = (message.dataset.settings || "").split(" ").filter(Boolean).map((name) => [name, valueOf(name)]);
            ending = status && status.run ? status.run.job.id : null;
            showWrong(message);
            since = ["wrong", "account"].some((kind) => isOf(kind, message)) ? null : now;
        }
        const runs = status && status.run && message.dataset.job === String(status.run.job.id);
        if (runs && now - seen > TO_READ) message.hidden = true;
        if (wrong.length && wrong.every(([name, value]) => valueOf(name) !== value)) message.hidden = true;
        sayOnce(message);
        const run = status && status.running ? status.run : null;
        const isOver = status && (!status.running || (run && (run.state === "paused" || run.job.id !== ending)));
        if (isOf("ending", message) && !isOver) since = now;
        if (isOf("ending", message) && isOver && now - seen > TO_READ) message.hidden = true;
        if (since !== null && now - since > TIME) message.hidden = true;
    }

    /* The first field that an error is about, where none of them is seen, nor the box to drop its image: the Basic view
     * hides most. */
    function showWrong(message) {
        const names = (message.dataset.settings || "").split(" ").filter(Boolean);
        const places = (name) => [byId(name), byId(`${name}_drop`)].filter(Boolean);
        const isSeen = (name) => places(name).some((place) => place.getClientRects().length);
        if (names.length && !names.some(isSeen)) window.trainyard.reveal(names[0]);
    }

    /* What the field of a setting holds, typed or put there; null where nothing can be typed. */
    function valueOf(name) {
        const typed = byId(name)?.querySelector("textarea, input:not([type=checkbox]):not([type=radio])");
        return typed ? typed.value : null;
    }

    /* Without the lines of its account that are seen in another place. */
    function sayOnce(message) {
        const places = ELSEWHERE.map((selector) => document.querySelector(selector));
        const visible = places.filter((place) => place && place.offsetParent);
        const said = new Set(visible.flatMap((place) => [...place.querySelectorAll(ROWS)].map((row) => row.textContent)));
        for (const row of message.querySelectorAll(ROWS)) row.hidden = said.has(row.textContent);
    }

    /* An error stays as long as it may be needed; the next click shows it again. */
    function goOn(event) {
        const root = document.getElementById(ROOT);
        const message = shown();
        if (!message || !isOf("wrong", message) || !event.isTrusted || !root.contains(event.target)) return;
        since = performance.now();
    }

    /* An error is of the mode that it was said in. */
    function leaveMode(event) {
        const message = shown();
        if (message && isOf("wrong", message) && event.target.closest(`#${ROOT}_mode`)) message.hidden = true;
    }

    document.addEventListener("trainyard-round", round);
    document.addEventListener("change", leaveMode);
    for (const event of ["click", "input"]) document.addEventListener(event, goOn);
})();
