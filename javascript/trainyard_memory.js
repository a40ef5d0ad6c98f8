/* The line before a run: what it learns from, how long it takes, its memory. Asked for once the form has changed and
 * nobody has typed for a while; until the answer on the form as it is has come, what stands there is greyed. */
(function () {
    "use strict";

    const {ROOT, byId, fieldValue, pressUnseen} = window.trainyard;

    const SETTLED = 1500; // ms
    const PATIENCE = 20000; // ms; then an answer is lost, and asked for again

    let latest = "";
    let changed = 0;
    let version = 0; // of the form: the server's answer says which one it is on
    let asked = {version: 0, at: -Infinity};
    let isRunning = false;
    let timer = null;

    /* All that can be seen of the form, and the job that gets it. The server is asked with all of it, also with what is
     * folded up. */
    function form() {
        const isBox = (each) => each.matches("[type=checkbox], [type=radio]");
        const fields = [...byId("form").querySelectorAll("input, textarea")];
        const others = [byId("card").querySelector("input"), byId("rest").querySelector("textarea, input")];
        return JSON.stringify([window.trainyard.editedJob(), ...others.map((each) => each.value), ...fields.map(
            (each) => (isBox(each) ? each.checked : each.value))]);
    }

    /* What was said of another mode is not true of this one: it goes at once, not with the answer. A run says itself
     * what it learns from. */
    function hideOther(told) {
        if (told) told.hidden = isRunning || told.dataset.mode !== fieldValue("mode");
    }

    /* Only one question is on its way at a time, since Gradio 3 drops a second one. */
    function look() {
        clearTimeout(timer);
        const memory = byId("memory");
        if (!memory) return;
        if (byId("form").offsetParent === null) {
            latest = ""; // meanwhile jobs and files may have come, and names have been freed
            return;
        }
        const told = memory.querySelector("[data-asked]");
        hideOther(told);
        if (isRunning || !document.querySelector(`#${ROOT}_model_note [data-advice]`)) return;
        const now = form();
        if (now !== latest) {
            [latest, changed] = [now, performance.now()];
            version += 1;
        }
        const answered = told ? Number(told.dataset.asked) : 0;
        const isOutdated = answered !== version;
        memory.classList.toggle(`${ROOT}-is-outdated`, isOutdated);
        memory.setAttribute("aria-busy", String(isOutdated));
        if (!isOutdated || (answered !== asked.version && performance.now() - asked.at < PATIENCE)) return;
        const wait = changed + SETTLED - performance.now();
        if (wait > 0) {
            timer = setTimeout(look, wait);
            return;
        }
        asked = {version, at: performance.now()};
        pressUnseen("measure", "measured", `${ROOT}-measure ${version}`);
    }

    const arriving = new MutationObserver(look);

    function round(event) {
        const {status} = event.detail;
        const wasRunning = isRunning;
        isRunning = Boolean(status && status.running);
        const isInRoom = byId("room") && byId("room").offsetParent !== null;
        if (isInRoom || (wasRunning && !isRunning)) latest = ""; // captions may be written there; and a run takes a time
        if (byId("memory")) arriving.observe(byId("memory"), {childList: true, subtree: true});
        look();
    }

    document.addEventListener("trainyard-round", round);
    for (const event of ["input", "change"]) document.addEventListener(event, look);
})();
