/* Wrong values, beside their fields as soon as these are left. */
(function () {
    "use strict";

    const {ROOT, byId, ask, make, write} = window.trainyard;

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
            problem = (await ask("check", {name, value})).problem;
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

    document.addEventListener("focusout", leftField);
    document.addEventListener("trainyard-round", checkAgain);
})();
