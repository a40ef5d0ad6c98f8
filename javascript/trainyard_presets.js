/* What the chosen preset is for, below its choice. */
(function () {
    "use strict";

    const {byId, write} = window.trainyard;

    function show() {
        const place = byId("preset_line") && byId("preset_line").querySelector("[data-lines]");
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
})();
