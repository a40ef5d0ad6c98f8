/* What a run would take of the memory: asked for again once the form has changed and nobody has typed for a while. */
(function () {
    "use strict";

    const {ROOT, byId, fieldValue, pressUnseen} = window.trainyard;

    const SETTLED = 1500; // ms
    const ANSWERED = 2500; // ms; about as long as an answer takes

    let shown = "";
    let latest = "";
    let changed = 0;
    let asked = -Infinity;
    let isRunning = false;

    /* All that can be seen of the form. The server is asked with all of it, also with what is folded up. */
    function form() {
        const isBox = (each) => each.matches("[type=checkbox], [type=radio]");
        const fields = [...byId("form").querySelectorAll("input, textarea")];
        const others = [byId("card").querySelector("input"), byId("rest").querySelector("textarea, input")];
        return JSON.stringify([...others.map((each) => each.value), ...fields.map(
            (each) => (isBox(each) ? each.checked : each.value))]);
    }

    /* What was said of another mode is not true of this one: it goes at once, not with the answer. A run says itself
     * what it learns from. */
    function hideOther() {
        const told = byId("memory") && byId("memory").querySelector("[data-mode]");
        if (told) told.hidden = isRunning || told.dataset.mode !== fieldValue("mode");
    }

    function round(event) {
        const status = event.detail.status;
        isRunning = Boolean(status && status.running);
        hideOther();
        if (byId("room") && byId("room").offsetParent) shown = ""; // captions may be written there
        const isFilled = document.querySelector(`#${ROOT}_model_note [data-advice]`);
        if (!status || status.running || !isFilled || byId("form").offsetParent === null) return;
        const now = form();
        if (now !== latest) [latest, changed] = [now, performance.now()];
        byId("memory").classList.toggle(`${ROOT}-is-outdated`, now !== shown || performance.now() - asked < ANSWERED);
        if (now === shown || performance.now() - changed < SETTLED) return;
        [shown, asked] = [now, performance.now()];
        pressUnseen("measure");
    }

    document.addEventListener("trainyard-round", round);
    document.addEventListener("change", hideOther);
})();
