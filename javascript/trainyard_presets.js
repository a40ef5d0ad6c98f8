/* What the chosen preset is for, below its choice. */
(function () {
    "use strict";

    const {byId, write} = window.trainyard;

    const found = () => byId("preset_line") && byId("preset_line").querySelector("[data-lines]");

    /* Gradio's update of the field once a mode is chosen, whose defaults are a preset's: that is named, unless the field
     * names a file or a preset that is not ours, whose values stay. A field that shows it already is left alone, and so
     * is one that somebody is in: what they have typed by now would be lost. */
    function presetOf(mode, chosen) {
        const update = {__type__: "update"};
        const place = found();
        if (!place || byId("preset").contains(document.activeElement)) return update;
        if (chosen && !JSON.parse(place.dataset.ours).includes(chosen)) return update;
        const own = JSON.parse(place.dataset.ofModes)[mode] || "";
        return own === (chosen || "") ? update : {...update, value: own};
    }

    function show() {
        const place = found();
        if (!place) return;
        const lines = JSON.parse(place.dataset.lines);
        const name = byId("preset").querySelector("input, textarea").value.trim();
        write(place, Object.hasOwn(lines, name) ? lines[name] : "");
    }

    // A list tells of a choice only after the click that made it.
    for (const event of ["input", "click", "keyup", "focusout"]) {
        document.addEventListener(event, ({target}) => {
            if (target instanceof Element && target.closest("#trainyard_presets")) setTimeout(show, 50);
        });
    }
    document.addEventListener("trainyard-round", show);

    window.trainyard.presetOf = presetOf;
})();
