/* The message: what it told of goes when its time is over, what was wrong when somebody has gone on for a while. */
(function () {
    "use strict";

    const {ROOT, byId, say, pressUnseen} = window.trainyard;

    const TIME = 30000;
    const ENDING = ["run.stopping", "run.stopping_and_saving", "run.pausing", "run.pausing_late"];
    const ANSWERS = [
        ...ENDING, "run.going_on", "run.nothing", "run.started", "run.is_next", "run.added", "run.start_the_queue",
        "run.changed", "run.copied", "run.job_gone", "preset.loaded", "preset.loaded_unknown", "preset.saved",
        "preset.deleted",
    ];

    const ASKING = `#${ROOT}_buttons, #${ROOT}_presets`;

    let told = "";
    let since = null;

    /* Whether a text is one of these sentences, whatever stands in for their {name}. */
    function isOneOf(keys, text) {
        return keys.some((key) => {
            const parts = say(key).split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
            return new RegExp(`^${parts.join("[^]*")}$`).test(text);
        });
    }

    function round(event) {
        const box = byId("message") && byId("message").querySelector("textarea, input");
        if (!box) return;
        const now = performance.now();
        if (box.value !== told) {
            told = box.value;
            since = isOneOf(ANSWERS, told) ? now : null;
        }
        if (!told || since === null) return;
        const {status} = event.detail;
        const goesOn = status && status.running && status.run && status.run.state === "running";
        if (goesOn && isOneOf(ENDING, told)) since = now;
        if (now - since <= TIME) return;
        told = "";
        pressUnseen("forget");
    }

    /* What was wrong stays as long as it may be needed to mend it, and after a press it is said anew. */
    function goOn(event) {
        const root = document.getElementById(ROOT);
        if (!told || !event.isTrusted || !root || !root.contains(event.target)) return; // our script presses, too
        if (event.type === "click" && event.target.closest(ASKING)) told = "";
        else if (!isOneOf(ANSWERS, told)) since = performance.now();
    }

    document.addEventListener("trainyard-round", round);
    for (const event of ["click", "input"]) document.addEventListener(event, goOn);
})();
