/* What was typed into the form survives a reload of this browser tab; and what was typed for another mode is marked. */
(function () {
    "use strict";

    const {ROOT, byId, fieldValue, say, make, pressUnseen} = window.trainyard;

    const KEPT = `${ROOT}-kept`;
    const SETTLED = 400; // ms
    const TYPED = "textarea, input:not([type=checkbox]):not([type=radio]):not([type=file])";

    /* Setting -> what was typed into its field last, in which mode, and the value that mode had for it. */
    let changed = {};
    let isTouched = false;
    let latest = "";
    let waits = null;

    function stored(text) {
        try {
            if (text !== undefined) window.sessionStorage.setItem(KEPT, text);
            return window.sessionStorage.getItem(KEPT) || "";
        } catch (error) {
            return ""; // a browser that keeps nothing
        }
    }

    const rest = () => {
        const field = byId("rest") && byId("rest").querySelector("textarea, input");
        return field && field.value ? JSON.parse(field.value) : {};
    };

    // ---- across a reload --------------------------------------------------------------------------------------------

    /* Called by the page with the values of all fields, also of those that are folded up. */
    function keep(...values) {
        stored(JSON.stringify({form: byId("bar").dataset.form, values, changed, edited: editedJob()}));
        return [];
    }

    /* The number of the job of the queue that is being edited; 0: none. */
    function editedJob() {
        const banner = document.querySelector(`#${ROOT}_edited [data-job]`);
        return banner && banner.getClientRects().length ? Number(banner.dataset.job) : 0;
    }

    /* What the form is to be filled with as the page opens; empty if there is nothing, or it is of another form. */
    function before() {
        const text = stored();
        if (!text) return "";
        const found = JSON.parse(text);
        if (found.form !== byId("bar").dataset.form) return "";
        changed = found.changed || {};
        return text;
    }

    /* Whether there is something, which a form that is changed before it has come would not take. */
    function open() {
        const text = before();
        isTouched = isTouched || Boolean(text);
        pressUnseen("open", "kept", text);
        return Boolean(text);
    }

    function shownNow() {
        const fields = [...byId("form").querySelectorAll("input, textarea"), ...byId("rest").querySelectorAll("textarea, input")];
        return JSON.stringify(fields.map((each) => (each.matches("[type=checkbox], [type=radio]") ? each.checked : each.value)));
    }

    function touched(event) {
        if (!event.isTrusted || !byId("form") || !event.target.closest) return;
        if (!event.target.closest(`#${ROOT}_form, #${ROOT}_presets, #${ROOT}_queue`)) return;
        isTouched = true;
        const field = event.target.closest(`#${ROOT}_form .${ROOT}-field[id^="${ROOT}_"]`);
        if (field && event.type === "input" && event.target.matches(TYPED)) note(nameOf(field), event.target.value);
        clearTimeout(waits);
        waits = setTimeout(look, SETTLED);
    }

    function look() {
        if (!isTouched || !byId("keep") || byId("form").offsetParent === null) return;
        if (!document.querySelector(`#${ROOT}_model_note [data-advice]`)) return; // it is still being filled
        const now = shownNow();
        if (now === latest) return;
        latest = now;
        byId("keep").click();
    }

    // ---- what was typed for another mode ----------------------------------------------------------------------------

    const nameOf = (field) => field.id.replace(`${ROOT}_`, "");

    /* The server's answer to a choice of mode may come after what is typed next. */
    function note(name, value) {
        const {defaults} = rest();
        if (defaults && name in defaults) changed[name] = {mode: fieldValue("mode"), own: defaults[name], value};
    }

    /* A field with another value than was typed has been filled since. A form that was filled as a whole, from a job or
     * a file, has no defaults yet: nothing of it was typed. */
    function mark() {
        if (!byId("form")) return;
        const {mode, defaults} = rest();
        for (const [name, {mode: other, own, value}] of Object.entries(changed)) {
            const field = byId(name);
            const typed = field && field.querySelector(TYPED);
            if (!typed) continue;
            const suits = String(defaults?.[name] ?? "");
            const isTyped = defaults && name in defaults && typed.value === value && value !== suits;
            const isLeft = suits === "" && String(own) === "";
            const isOther = isTyped && mode !== other && (isLeft || (suits !== String(own) && suits !== ""));
            show(field, typed, isOther ? {mode, other, suits} : null);
        }
        if (mode && !defaults) changed = {};
    }

    function show(field, typed, told) {
        let line = field.querySelector(`:scope > .${ROOT}-other-mode`);
        field.classList.toggle(`${ROOT}-is-of-another-mode`, Boolean(told));
        if (!told) {
            if (line) line.remove();
            return;
        }
        const text = say(told.suits ? "form.of_other_mode" : "form.left_of_other_mode", told);
        if (line && line.firstChild.textContent === text) return;
        if (line) line.remove();
        line = make("p", "other-mode");
        const use = make("button", "button", told.suits ? say("form.use", {value: told.suits}) : say("form.empty"));
        use.type = "button";
        use.setAttribute("aria-label", `${use.textContent}: ${typed.getAttribute("aria-label") || nameOf(field)}`);
        use.addEventListener("click", () => fill(typed, told.suits));
        line.append(make("span", "", text), " ", use);
        field.append(line);
    }

    function fill(typed, value) {
        typed.focus();
        typed.value = value;
        typed.dispatchEvent(new Event("input", {bubbles: true}));
        typed.dispatchEvent(new KeyboardEvent("keyup", {bubbles: true, key: "End"})); // for Gradio 3's lists
        typed.blur();
        mark();
    }

    for (const event of ["input", "change", "click"]) document.addEventListener(event, touched);
    document.addEventListener("trainyard-round", () => {
        mark();
        look();
    });

    Object.assign(window.trainyard, {keep, openForm: open, editedJob});
})();
