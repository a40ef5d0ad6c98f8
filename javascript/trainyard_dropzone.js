/* Drop zones: the image goes to the server, its path into the field beside, and the image of that path is shown.
 *
 * A drop zone is an element with data-field, the field's id without our prefix, and data-label.
 */
(function () {
    "use strict";

    const {ROOT, byId, ask, say, make, write, addPanel} = window.trainyard;

    const LOOK_EVERY = 500;
    const PLACES = ["original_image_drop", "target_image_drop", "vary_drop"];

    function build(place) {
        const label = make("label", "drop");
        const file = document.createElement("input");
        file.type = "file";
        file.accept = "image/*";
        const image = document.createElement("img");
        image.hidden = true;
        image.alt = place.dataset.label;
        const hint = make("span", "drop-hint", say("drop.hint"));
        label.append(file, make("span", "drop-label", place.dataset.label), image, hint);
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        message.hidden = true;
        place.append(label, message);
        place.parts = {label, image, hint, message};
        place.shown = "";
        place.typed = "";
        file.addEventListener("change", () => {
            if (file.files.length) take(place, file.files[0]);
            file.value = ""; // so that the same file can be chosen again
        });
        label.addEventListener("dragover", (event) => {
            event.preventDefault();
            label.classList.add(`${ROOT}-is-over`);
        });
        label.addEventListener("dragleave", () => label.classList.remove(`${ROOT}-is-over`));
        label.addEventListener("drop", (event) => {
            event.preventDefault();
            event.stopPropagation();
            label.classList.remove(`${ROOT}-is-over`);
            if (event.dataTransfer.files.length) take(place, event.dataTransfer.files[0]);
        });
        place.addEventListener("paste", (event) => {
            if (event.clipboardData.files.length) take(place, event.clipboardData.files[0]);
        });
        setInterval(() => look(place), LOOK_EVERY);
    }

    const box = (place) => byId(place.dataset.field) && byId(place.dataset.field).querySelector("textarea, input");

    function fill(place, text) {
        const typed = box(place);
        typed.value = text;
        typed.dispatchEvent(new Event("input", {bubbles: true}));
    }

    async function take(place, file) {
        const {hint, message} = place.parts;
        write(message, "");
        write(hint, say("drop.sending"));
        try {
            const {path} = await ask(`pictures?name=${encodeURIComponent(file.name)}`, file);
            fill(place, path);
        } catch (error) {
            fill(place, "");
            write(message, error.message);
        }
        write(hint, place.parts.image.hidden ? say("drop.hint") : "");
    }

    /* Wherever the field's path comes from: typed, dropped, or from a preset. */
    function look(place) {
        if (place.offsetParent === null || document.hidden || !box(place)) return;
        const path = box(place).value.trim();
        const settled = path === place.typed;
        place.typed = path;
        if (!settled || path === place.shown) return;
        place.shown = path;
        show(place, path);
    }

    async function show(place, path) {
        let source = "";
        if (path) {
            write(place.parts.message, "");
            try {
                source = (await ask("picture", {path})).picture;
            } catch (error) {
                source = ""; // errors are shown where the images are compared or varied
            }
        }
        if (place.shown !== path) return;
        const {label, image, hint} = place.parts;
        image.hidden = !source;
        if (source) image.src = source;
        write(hint, source ? "" : say("drop.hint"));
        const before = place.querySelector("button");
        if (before) before.remove();
        if (path) label.after(clearing(place));
    }

    function clearing(place) {
        const button = make("button", "drop-clear", "×");
        button.type = "button";
        button.setAttribute("aria-label", say("drop.clear"));
        button.addEventListener("click", () => fill(place, ""));
        return button;
    }

    for (const name of PLACES) addPanel(name, {build, show: () => undefined});
})();
