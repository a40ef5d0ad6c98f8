/* Try it: images of a LoRA, the latest or any other, at several strengths with any prompt. */
(function () {
    "use strict";

    const page = window.trainyard;
    const {ROOT, byId, ask, say, make, button, write, imageFigure, previewFigure, addPanel, imageJobs} = page;

    const SHORT = ["strengths", "seed", "steps", "cfg", "size", "model"];

    function field(panel, name, element, value = "") {
        const label = make("label", SHORT.includes(name) ? "try-short" : "try-field", say(`try.${name}`));
        element.id = `${ROOT}_try_${name}`;
        element.classList.add(`${ROOT}-input`);
        element.value = value;
        label.append(element);
        panel.fields[name] = element;
        return label;
    }

    function input() {
        return document.createElement("input");
    }

    function build(panel) {
        panel.fields = {};
        panel.suited = {};
        const fold = document.createElement("details");
        const box = make("div", "try-fields");
        const lora = document.createElement("select");
        const prompt = document.createElement("textarea");
        prompt.rows = 2;
        const more = document.createElement("details");
        const others = make("div", "try-fields");
        others.append(
            field(panel, "negative", input()), field(panel, "steps", input(), "20"), field(panel, "cfg", input(), "7"),
            field(panel, "size", input()), field(panel, "model", document.createElement("select")),
        );
        more.append(make("summary", "", say("try.more")), others);
        const draw = button(say("try.draw"), () => begin(panel));
        draw.id = `${ROOT}_try_draw`;
        box.append(
            field(panel, "lora", lora), field(panel, "prompt", prompt),
            field(panel, "strengths", input(), "-1, -0.5, 0, 0.5, 1"), field(panel, "seed", input(), "0"), more, draw,
        );
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        const turn = make("p", "note");
        turn.setAttribute("role", "status");
        const waits = make("p", "note");
        message.hidden = turn.hidden = true;
        fold.append(make("summary", "", say("try.heading")), box, waits, turn, message);
        imageJobs.gate(() => [draw], waits);
        panel.append(fold);
        imageJobs.place("strip", fold);
        const kept = make("div", "kept");
        kept.hidden = true;
        fold.append(kept);
        panel.parts = {fold, message, turn, draw, kept};
        panel.models = [];
        lora.addEventListener("change", () => choose(panel, lora.value));
        prompt.addEventListener("input", () => (panel.typed = true));
        fold.addEventListener("input", () => (panel.used = true));
        fold.addEventListener("toggle", () => fold.open && list(panel));
    }

    function fill(select, choices, chosen) {
        const all = chosen === "" || choices.some(([value]) => value === chosen) ? choices : [[chosen, chosen], ...choices];
        select.replaceChildren(...all.map(([value, words]) => {
            const option = make("option", "", words);
            option.value = value;
            return option;
        }));
        select.value = chosen;
    }

    async function list(panel) {
        try {
            const found = await ask("loras");
            const chosen = panel.fields.lora.value || found.latest || found.loras[0] || "";
            const none = found.loras.length || chosen ? [] : [["", say("try.none")]];
            fill(panel.fields.lora, [...none, ...found.loras.map((name) => [name, name])], chosen);
            panel.models = found.models;
            if (panel.shown !== chosen) await choose(panel, chosen);
            write(panel.parts.message, "");
        } catch (error) {
            write(panel.parts.message, error.message);
        }
    }

    /* Fill the untouched fields with what suits the LoRA. */
    async function choose(panel, name) {
        panel.shown = name;
        const fields = panel.fields;
        const models = panel.models.map((model) => [model, model || say("try.loaded")]);
        let suited = {};
        write(panel.parts.message, "");
        try {
            if (name) suited = await ask(`lora?name=${encodeURIComponent(name)}`);
        } catch (error) {
            write(panel.parts.message, error.message);
        }
        if (panel.shown !== name) return;
        panel.suited = suited;
        showKept(panel, suited.kept || {});
        if (!panel.typed) fields.prompt.value = suited.prompt || "";
        fields.negative.value = suited.negative || "";
        fields.size.value = (suited.size || [512, 512]).join(", ");
        fill(fields.model, models, suited.model || "");
        if (panel.comes) panel.scrollIntoView({block: "start"});
        panel.comes = false;
    }

    async function begin(panel) {
        const asked = {
            vae: panel.suited.vae || "", prediction: panel.suited.prediction || "", clip_skip: panel.suited.clip_skip || 0,
        };
        for (const [name, element] of Object.entries(panel.fields)) asked[name] = element.value;
        const {draw, message} = panel.parts;
        await imageJobs.once(draw, async () => {
            await ask("drawings/strip", asked);
            write(message, "");
            imageJobs.watch();
        }).catch((error) => write(message, error.message));
    }

    /* The images that the LoRA's run has left on the disk. */
    function showKept(panel, kept) {
        const {parts} = panel;
        const folder = kept.folder ? ["samples", ...kept.folder.map(encodeURIComponent)].join("/") : "";
        const strip = kept.strip ? [imageFigure(kept.strip, say("try.strip", kept), folder)] : [];
        const {pictures = [], words: said = []} = kept; // neither without a LoRA
        const words = said.map((each, at) => make("p", at ? "" : "asked", each));
        parts.kept.replaceChildren(...strip, ...words);
        if (pictures.length) {
            const fold = document.createElement("details");
            fold.append(make("summary", "", say("try.images", {count: pictures.length})));
            const newest = pictures.slice().reverse();
            fold.append(...newest.map((each) => previewFigure(each, folder)));
            parts.kept.append(fold);
        }
        onlyOnce(panel);
    }

    /* The last run's images are shown above. */
    function onlyOnce({parts, run, suited}) {
        const isAbove = run && run.path && run.path === suited.path;
        parts.kept.hidden = Boolean(isAbove) || !parts.kept.children.length;
    }

    /* The user has chosen another LoRA. */
    function take(panel, name) {
        panel.fields.lora.value = "";
        panel.typed = panel.typed && name === panel.shown;
        panel.shown = null;
        if (name) fill(panel.fields.lora, [[name, name]], name);
        if (panel.parts.fold.open) list(panel);
        else panel.parts.fold.open = true;
    }

    /* Open it with the file of a run that has just ended, unless the user is trying another one. */
    function show(panel, status) {
        const {parts} = panel;
        const run = status.run;
        const path = (run && !status.running && run.path) || "";
        const isBusy = status.running && run && run.state !== "paused";
        write(parts.turn, isBusy && !status.images_wait ? say("try.between_steps") : "");
        panel.run = run;
        onlyOnce(panel);
        if (run && panel.job !== run.job.id) {
            panel.job = run.job.id;
            panel.used = false;
        }
        if (!path || panel.path === path) return;
        panel.path = path;
        if (panel.used && parts.fold.open) list(panel);
        else take(panel, "");
    }

    /* Show the tab with that LoRA, from elsewhere on the page. */
    page.tryLora = (name) => {
        const panel = byId("try");
        document.querySelector(`#${ROOT}_tabs > .tab-nav button, #${ROOT}_tabs [role=tab]`).click();
        panel.used = panel.comes = true;
        take(panel, name);
        page.refresh();
    };

    addPanel("try", {build, show});
})();
