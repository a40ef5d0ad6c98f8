/* The form: errors beside fields as soon as they are left, and defaults that suit the model. */
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
            problem = ""; // the run's panel says that the server does not answer
        }
        field.dataset.checked = value;
        mark(field, problem);
    }

    /* A preset may have replaced a wrong value. */
    function checkAgain() {
        for (const field of document.querySelectorAll(`#${ROOT} .${ROOT}-is-wrong`)) {
            const typed = field.querySelector(TYPED);
            if (typed && typed !== document.activeElement && typed.value !== field.dataset.checked) checkField(field);
        }
    }

    /* What the Basic view hides, it shows as long as a field in it is wrong, of those that the mode has. */
    function keepWrong() {
        const isWrong = (field) => getComputedStyle(field).display !== "none"; // also where what it is in is hidden
        for (const place of document.querySelectorAll(`#${ROOT} .${ROOT}-fold`)) {
            const wrong = [...place.querySelectorAll(`.${ROOT}-is-wrong`)];
            place.classList.toggle(`${ROOT}-holds-wrong`, wrong.some(isWrong));
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

    const PATIENCE = 15000; // ms; then the answer is asked for again
    let asked = -PATIENCE;
    let isLate = false;
    let isHeldBack = false;
    let isOpened = false;

    /* Fill a form that is seen for the first time, and update one that does not show the latest on its model. */
    function fit(event) {
        const status = event.detail.status;
        if (!status || !byId("open") || byId("form").offsetParent === null) return;
        const note = document.querySelector(`#${ROOT}_model_note [data-advice]`);
        const isOwed = isLate || (isHeldBack && !typedIn());
        const isNews = !note || isOwed || note.dataset.advice !== String(status.advice);
        if (!isNews || performance.now() - asked < PATIENCE) return;
        asked = performance.now();
        if (note || isLate) {
            pressUnseen("fit");
            return;
        }
        arriving.observe(byId("model_note"), {childList: true, subtree: true});
        byId("form").inert = window.trainyard.openForm() && !isOpened; // at the second time something has gone wrong
        isOpened = true;
    }

    /* What was said while the form was being filled goes as soon as it is, and the form can be used. */
    function showFilled() {
        if (!document.querySelector(`#${ROOT}_model_note [data-advice]`)) return;
        byId("filling").hidden = true;
        byId("form").inert = false;
    }

    const arriving = new MutationObserver(showFilled);

    /* The form's field that somebody may be about to type in. */
    function typedIn() {
        const active = document.activeElement;
        return active && active.matches(TYPED) ? active.closest(`#${ROOT}_form .${ROOT}-field`) : null;
    }

    /* Carry out the server's answer, except for fields that were changed since it was asked, and for the one that
     * somebody is in: what they have selected there would be lost, and what they type next added to the new value.
     * That one is asked for again once they have left it.
     *
     * answer: JSON, as written by Form.answer.
     * current: what the form's fields hold now, and its hidden field.
     * Returns Gradio's updates for each of these and for the note.
     */
    function fill(answer, ...current) {
        const {asked: before, fields, updates, decisive} = JSON.parse(answer);
        const typed = typedIn();
        const isTyped = (place) => Boolean(typed) && fields[place] === typed.id && "value" in updates[place]
            && plain(updates[place].value) !== plain(current[place]);
        const isChanged = (place) => place in before
            && (plain(before[place]) !== plain(current[place]) || isTyped(place));
        asked = -PATIENCE;
        isLate = decisive.some(isChanged);
        const held = isLate ? -1 : fields.findIndex((_, place) => isTyped(place));
        isHeldBack = held >= 0;
        return updates.map((update, place) => {
            const found = {__type__: "update", ...(isLate ? {} : update)};
            if (isChanged(place)) delete found.value;
            if (isHeldBack && place === fields.length) found.value = stillUntouched(found.value, typed, current[held]);
            if ("choices" in found && !("value" in found)) found.value = current[place];
            return found;
        });
    }

    /* The form's hidden part, in which the value of a field that was left alone stays a default that was put there. */
    function stillUntouched(rest, field, value) {
        const kept = JSON.parse(rest);
        kept.brought[field.id.replace(`${ROOT}_`, "")].push(value);
        return JSON.stringify(kept);
    }

    /* A value as text: none is the same as empty, and the order of checked boxes does not matter. */
    const plain = (value) => JSON.stringify(Array.isArray(value) ? [...value].sort() : value ?? "");

    document.addEventListener("focusout", leftField);
    document.addEventListener("trainyard-round", fit);
    document.addEventListener("trainyard-round", () => byId("filling") && showFilled());
    document.addEventListener("trainyard-round", checkAgain);
    document.addEventListener("trainyard-round", keepWrong);

    window.trainyard.fill = fill;
})();
