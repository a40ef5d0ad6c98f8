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

    /* The form that is first seen is filled; one that does not show the latest of its model is told it. */
    function fit(event) {
        const status = event.detail.status;
        if (!status || !byId("open") || byId("form").offsetParent === null) return;
        const note = document.querySelector(`#${ROOT}_model_note [data-advice]`);
        if (!note) pressUnseen("open");
        else if (note.dataset.advice !== String(status.advice)) pressUnseen("fit");
    }

    document.addEventListener("focusout", leftField);
    document.addEventListener("trainyard-round", fit);
    document.addEventListener("trainyard-round", checkAgain);
})();
