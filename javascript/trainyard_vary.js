/* The Image tab: variations of images; shows a few, then writes all. */
(function () {
    "use strict";

    const {ROOT, byId, ask, say, make, write, addPanel} = window.trainyard;

    const LOOK_EVERY = 400;
    const TYPED = ["source", "folder", "name", "number", "most_angle", "least_scale", "seed"];

    let timer = null;
    let kept = {fields: "", seed: ""};

    function build(panel) {
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        const title = make("p", "title");
        title.setAttribute("role", "status");
        const bar = document.createElement("progress");
        bar.setAttribute("aria-label", say("vary.progress"));
        const problems = make("ul", "data-problems");
        const grid = make("div", "vary-grid");
        panel.append(message, title, bar, problems, grid);
        panel.parts = {message, title, bar, problems, grid};
        for (const part of Object.values(panel.parts)) part.hidden = true;
        look(panel);
    }

    /* A button may be clicked before the panel is built. */
    function pressed(event) {
        for (const [name, deed] of [["vary_show", few], ["vary_write", begin], ["vary_stop", stop]]) {
            if (event.target.closest && event.target.closest(`#${ROOT}_${name}`)) deed(built(byId("vary")));
        }
    }

    function built(panel) {
        if (!panel.parts) build(panel);
        return panel;
    }

    function fields() {
        const found = {};
        for (const name of TYPED) found[name] = byId(`vary_${name}`).querySelector("textarea, input").value;
        const side = byId("vary_fixed_side").querySelector("input:checked");
        found.fixed_side = side ? side.value : "none";
        found.captions = byId("vary_captions").querySelector("input[type=checkbox]").checked;
        return found;
    }

    /* Write the same ones that are shown: with the seed that was drawn for them. */
    function asShown() {
        const found = fields();
        return JSON.stringify(found) === kept.fields ? {...found, seed: kept.seed} : found;
    }

    async function few(panel) {
        const asked = fields();
        write(panel.parts.message, "");
        panel.parts.grid.setAttribute("aria-busy", "true");
        try {
            const found = await ask("variations/show", asked);
            kept = {fields: JSON.stringify(asked), seed: found.seed};
            write(panel.parts.title, say("vary.shown", {count: found.total, folder: found.folder}));
            panel.parts.problems.hidden = true;
            panel.parts.grid.replaceChildren(...found.pictures.map(figureOf));
            panel.parts.grid.hidden = false;
        } catch (error) {
            write(panel.parts.message, error.message);
            write(panel.parts.title, "");
            panel.parts.grid.replaceChildren();
        }
        panel.parts.grid.removeAttribute("aria-busy");
    }

    function figureOf(each) {
        const figure = make("figure");
        const image = document.createElement("img");
        image.src = each.picture;
        image.alt = each.name;
        figure.append(image, make("figcaption", "", each.name));
        return figure;
    }

    async function begin(panel) {
        write(panel.parts.message, "");
        if (JSON.stringify(fields()) !== kept.fields) panel.parts.grid.replaceChildren();  // outdated
        try {
            show(panel, await ask("variations/start", asShown()));
            look(panel);
        } catch (error) {
            write(panel.parts.message, error.message);
        }
    }

    async function stop(panel) {
        try {
            await ask("variations/stop", {});
        } catch (error) {
            write(panel.parts.message, error.message);
        }
        look(panel);
    }

    async function look(panel) {
        clearTimeout(timer);
        let state;
        try {
            state = await ask("variations");
        } catch (error) {
            write(panel.parts.message, error.message);
            return;
        }
        show(panel, state);
        if (state.state === "working") timer = setTimeout(() => look(panel), LOOK_EVERY);
    }

    function show(panel, state) {
        const parts = panel.parts;
        const working = state.state === "working";
        document.getElementById(ROOT).classList.toggle(`${ROOT}-is-varying`, working);
        parts.bar.hidden = !working;
        if (state.state === "none") return;
        parts.bar.max = Math.max(1, state.total);
        parts.bar.value = state.done;
        write(parts.title, titleOf(state));
        if (state.problem) write(parts.message, state.problem);
        const problems = state.written ? state.written.problems : [];
        const lines = problems.map((each) => `${each.file} ${each.what}: ${each.done}`);
        const more = state.written ? state.written.problems_in_all - problems.length : 0;
        if (more) lines.push(say("data.more_problems", {count: more}));
        parts.problems.replaceChildren(...lines.map((line) => make("li", "", line)));
        parts.problems.hidden = !lines.length;
    }

    function titleOf(state) {
        if (state.state === "working") return say("vary.writing", {done: state.done, total: state.total});
        if (state.state === "stopped") return say("vary.stopped", {done: state.done, total: state.total});
        if (!state.written) return "";
        const {variations, pictures: images, folder, seed} = state.written;
        return say("vary.written", {variations, images, folder, seed});
    }

    document.addEventListener("click", pressed);
    addPanel("vary", {build: built, show: () => undefined});
})();
