/* A slider over images of a LoRA that have been drawn at several strengths: the strength is moved, the image follows. */
(function () {
    "use strict";

    const {say, make, write} = window.trainyard;

    /* images: the name (their address) and the label of each, in the order of their strengths; none for fewer than two. */
    function slider(images) {
        const whole = make("div", "strengths");
        const shown = document.createElement("img");
        const range = document.createElement("input");
        Object.assign(range, {type: "range", min: 0, max: images.length - 1, step: 1});
        const label = make("label", "", say("film.strength"));
        const value = make("output");
        label.append(range, value);
        const show = () => {
            const {address, label: strength} = images[range.value];
            shown.src = address;
            shown.alt = say("film.at_strength", {strength});
            range.setAttribute("aria-valuetext", strength);
            write(value, strength);
        };
        range.addEventListener("input", show);
        range.value = images.length - 1;
        show();
        whole.append(shown, label);
        return whole;
    }

    window.trainyard.strengthSlider = slider;
})();
