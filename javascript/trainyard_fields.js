/* The form: wrong values beside their fields as soon as these are left, and what suits the model. */
(function () {
    "use strict";

    const {ROOT, byId, ask, make, write, pressUnseen} = window.trainyard;

    const TYPED = "textarea, input:not([type=checkbox]):not([type=radio]):not([type=file])";

    function leftField(event) {
        const field = event.target.closest && event.target.closest(`.${ROOT}-field[id^="${ROOT}_"]`);
        if (field && byId("form") && byId("form").contains(field) && event.target.matches(TYPED)) checkField(field);
    }

    async function checkField(field) {
        const value = field.querySelector(TYPED).value;
        const name = field.id.replace(`${ROOT}_second_`, "").replace(`${ROOT}_`, "");
        let problem = "";
        try {
            problem = (await ask("field", {name, value})).problem;
        } catch (error) {
            problem = ""; // that the server does not answer is said where the run is shown
        }
        field.dataset.checked = value;
        mark(field, problem);
    }

    /* A preset may have put another value where a wrong one was. */
    function checkAgain() {
        for (const field of document.querySelectorAll(`#${ROOT} .${ROOT}-is-wrong`)) {
            const typed = field.querySelector(TYPED);
            if (typed && typed !== document.activeElement && typed.value !== field.dataset.checked) checkField(field);
        }
    }

    function mark(field, problem) {
        let note = field.querySelector(`:scope > .${ROOT}-wrong`);
        if (!note && problem) {
            note = make("p", "wrong");
            note.setAttribute("role", "alert");
            field.append(note);
        }
        if (note) write(note, problem);
        field.classList.toggle(`${ROOT}-is-wrong`, Boolean(problem));
    }

    // ---- what suits the model ---------------------------------------------------------------------------------------

    const PATIENCE = 15000; // ms; an answer that takes longer is asked for again
    let asked = -PATIENCE;
    let isLate = false;

    /* The form that is first seen is filled; one that does not show the latest of its model is told it. */
    function fit(event) {
        const status = event.detail.status;
        if (!status || !byId("open") || byId("form").offsetParent === null) return;
        const note = document.querySelector(`#${ROOT}_model_note [data-advice]`);
        const isNews = !note || isLate || note.dataset.advice !== String(status.advice);
        if (!isNews || performance.now() - asked < PATIENCE) return;
        asked = performance.now();
        pressUnseen(note || isLate ? "fit" : "open");
    }

    /* Carry out what the server answered, but for the fields that somebody has changed since it was asked.
     *
     * answer: JSON, as Form.answer writes it.
     * current: what the form's fields hold now, and what it holds beside them.
     * Returns what Gradio is to do with each of these, and with the note.
     */
    function fill(answer, ...current) {
        const {asked: before, updates, decisive} = JSON.parse(answer);
        const isChanged = (place) => place in before && plain(before[place]) !== plain(current[place]);
        asked = -PATIENCE;
        isLate = decisive.some(isChanged);
        return updates.map((update, place) => {
            const found = {__type__: "update", ...(isLate ? {} : update)};
            if (isChanged(place)) delete found.value;
            if ("choices" in found && !("value" in found)) found.value = current[place];
            return found;
        });
    }

    /* A value as text: nothing is the same as an empty text, and ticks have no order. */
    const plain = (value) => JSON.stringify(Array.isArray(value) ? [...value].sort() : value ?? "");

    document.addEventListener("focusout", leftField);
    document.addEventListener("trainyard-round", fit);
    document.addEventListener("trainyard-round", checkAgain);

    window.trainyard.fill = fill;
})();
