/* The gallery: every LoRA in the folder with its picture and what its file says, and what can be done with it. */
(function () {
    "use strict";

    const page = window.trainyard;
    const {ROOT, address, ask, say, make, button, write, pressUnseen, imageFigure, addPanel} = page;
    const PORTION = 60;
    const WAIT = 250; // ms, until a search begins after the last letter
    const SHOWN_FOR = 2000; // ms
    const ORDERS = ["newest", "oldest", "name", "largest", "base", "mode"];

    const stemOf = (name) => name.split("/").pop();
    const tagOf = (name) => `<lora:${stemOf(name)}:1>`;
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
    const query = (values) => new URLSearchParams(values).toString();

    function labelled(text, element) {
        const label = make("label", "gallery-field", text);
        element.classList.add(`${ROOT}-input`);
        label.append(element);
        return label;
    }

    // ---- the list -------------------------------------------------------------------------------------------------

    function build(panel) {
        const bar = make("div", "gallery-bar");
        const search = document.createElement("input");
        search.type = "search";
        search.placeholder = say("gallery.search_help");
        const order = document.createElement("select");
        for (const name of ORDERS) {
            const option = make("option", "", say(`gallery.by_${name}`));
            option.value = name;
            order.append(option);
        }
        const count = make("p", "note");
        count.setAttribute("role", "status");
        bar.append(labelled(say("gallery.search"), search), labelled(say("gallery.order"), order), count);
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        message.hidden = true;
        const comparison = buildComparison(panel);
        const grid = make("div", "gallery-grid");
        grid.setAttribute("role", "list");
        const end = make("div");
        panel.append(bar, message, comparison, grid, end);
        panel.parts = {search, order, count, message, comparison, grid, end};
        panel.cards = new Map();
        panel.wanted = PORTION;
        search.addEventListener("input", () => {
            clearTimeout(panel.typing);
            panel.typing = setTimeout(() => renew(panel), WAIT);
        });
        order.addEventListener("change", () => renew(panel));
        grid.addEventListener("click", (event) => pressed(panel, event));
        panel.nearing = new IntersectionObserver((entries) => {
            if (entries.some((entry) => entry.isIntersecting) && panel.found < panel.count) {
                panel.wanted = panel.found + PORTION;
                load(panel);
            }
        }, {rootMargin: "800px"});
    }

    /* Another search or order: from the top. */
    function renew(panel) {
        panel.wanted = PORTION;
        load(panel);
    }

    /* As many as are wanted; what was asked for meanwhile comes instead. */
    async function load(panel) {
        const turn = panel.turn = (panel.turn || 0) + 1;
        const {search, order} = panel.parts;
        const loras = [];
        let found = null;
        try {
            do {
                const asked = {search: search.value, order: order.value, first: loras.length, count: PORTION};
                found = await ask(`gallery?${query(asked)}`);
                if (panel.turn !== turn) return;
                loras.push(...found.loras);
            } while (found.loras.length && loras.length < Math.min(panel.wanted, found.count));
            write(panel.parts.message, "");
        } catch (error) {
            if (panel.turn === turn) write(panel.parts.message, error.message);
            return;
        }
        Object.assign(panel, {found: loras.length, count: found.count, left: found.left});
        showCards(panel, loras);
        write(panel.parts.count, countOf(panel));
        panel.nearing.disconnect();
        panel.nearing.observe(panel.parts.end); // which reports at once if it is near already
    }

    function countOf({count, left, parts}) {
        if (left) return count ? say("gallery.left", {count, left}) : say("gallery.looking");
        if (count) return say("gallery.count", {count});
        return say(parts.search.value.trim() ? "gallery.none_found" : "gallery.none");
    }

    /* Cards of files that have not changed stay as they are. */
    function showCards(panel, loras) {
        const before = panel.cards;
        panel.cards = new Map(loras.map((lora) => {
            const old = before.get(lora.name);
            return [lora.name, old && old.version === JSON.stringify(lora) ? old : cardOf(lora)];
        }));
        const held = document.activeElement;
        const cards = [...panel.cards.values()];
        const there = [...panel.parts.grid.children];
        if (cards.length !== there.length || cards.some((card, at) => card !== there[at])) {
            panel.parts.grid.replaceChildren(...cards);
            const focused = held && (held.isConnected ? held : sameButton(panel, held));
            if (focused && focused !== document.activeElement) focused.focus({preventScroll: true});
        }
        showChosen(panel);
    }

    /* The button in the card that has been made anew. */
    function sameButton(panel, button) {
        const old = button.closest("article");
        const card = old && panel.cards.get(old.lora.name);
        const label = button.getAttribute("aria-label");
        return card && [...card.querySelectorAll("button")].find((each) => each.getAttribute("aria-label") === label);
    }

    function cardOf(lora) {
        const card = make("article", "gallery-card");
        card.setAttribute("role", "listitem");
        card.version = JSON.stringify(lora);
        card.lora = lora;
        const opener = make("button", "gallery-picture");
        opener.type = "button";
        opener.dataset.action = "more";
        opener.setAttribute("aria-label", say("gallery.more_of", lora));
        const image = document.createElement("img");
        image.loading = "lazy";
        image.alt = "";
        image.src = address(`gallery/picture?${query({name: lora.name, v: lora.changed})}`);
        image.addEventListener("error", () => image.replaceWith(make("span", "gallery-none", say("gallery.no_picture"))));
        opener.append(image);
        const name = make("h4", "", lora.name);
        const from = [lora.mode, lora.base].filter(Boolean).join(" · ");
        const lines = [
            lora.trigger && make("p", "gallery-trigger", lora.trigger),
            from && make("p", "note", from),
            make("p", "note", factsOf(lora).join(" · ")),
            lora.problem && make("p", "wrong", lora.problem),
        ].filter(Boolean);
        const actions = make("div", "actions");
        for (const action of lora.problem ? ["more"] : ["try", "copy", "compare", "more"]) {
            const made = button(say(`gallery.${action}`), () => {});
            made.dataset.action = action;
            if (action === "copy") made.title = say("gallery.copy_help", {tag: tagOf(lora.name)});
            if (action === "compare") made.setAttribute("aria-pressed", "false");
            made.setAttribute("aria-label", `${made.textContent}: ${lora.name}`);
            actions.append(made);
        }
        card.append(opener, name, ...lines, actions);
        return card;
    }

    function factsOf(lora) {
        const when = new Date(1000 * lora.written).toLocaleString([], {dateStyle: "short", timeStyle: "short"});
        const rank = lora.rank && say("gallery.rank", lora);
        return [rank, lora.steps && say("gallery.steps", lora), megabytes(lora.size), when].filter(Boolean);
    }

    function pressed(panel, event) {
        const target = event.target.closest("button[data-action]");
        if (!target) return;
        const {lora} = target.closest("article");
        const acts = {
            try: () => page.tryLora(lora.name),
            copy: () => copy(target, tagOf(lora.name)),
            compare: () => choose(panel, lora.name),
            more: () => open(panel, lora),
        };
        acts[target.dataset.action]();
    }

    /* Into the clipboard; a page without a certificate has none, and takes the way of old. */
    async function copy(pressedButton, text) {
        try {
            await navigator.clipboard.writeText(text);
        } catch (error) {
            const box = document.createElement("textarea");
            box.value = text;
            pressedButton.after(box);
            box.select();
            document.execCommand("copy");
            box.remove();
            pressedButton.focus();
        }
        pressedButton.textContent = say("gallery.copied");
        setTimeout(() => (pressedButton.textContent = say("gallery.copy")), SHOWN_FOR);
    }

    // ---- two compared ---------------------------------------------------------------------------------------------

    function buildComparison(panel) {
        const whole = make("section", "gallery-comparison");
        const title = make("p", "title");
        title.setAttribute("role", "status");
        const fields = make("div", "gallery-fields");
        const made = {};
        for (const [name, value] of [["prompt", ""], ["strengths", "0, 0.5, 1"], ["seed", "0"]]) {
            made[name] = document.createElement("input");
            made[name].value = value;
            fields.append(labelled(say(`try.${name}`), made[name]));
        }
        const draw = button(say("gallery.compare_draw"), () => compare(panel));
        const end = button(say("gallery.compare_end"), () => {
            panel.chosen = [];
            showChosen(panel);
        });
        const buttons = make("div", "actions");
        buttons.append(draw, end);
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        message.hidden = true;
        const waits = make("p", "note");
        whole.append(title, fields, buttons, waits, message);
        page.imageJobs.gate(() => [draw], waits);
        whole.parts = {title, fields, made, draw, message};
        whole.hidden = true;
        panel.chosen = [];
        page.imageJobs.place("comparison", whole);
        return whole;
    }

    /* One is chosen, then another; of three, the first goes. */
    async function choose(panel, name) {
        const rest = panel.chosen.filter((each) => each !== name);
        panel.chosen = rest.length === panel.chosen.length ? [...rest, name].slice(-2) : rest;
        showChosen(panel);
        const {made, message} = panel.parts.comparison.parts;
        write(message, "");
        if (panel.chosen.length !== 2 || made.prompt.value) return;
        try {
            panel.suited = await ask(`lora?name=${encodeURIComponent(panel.chosen[0])}`);
            if (!made.prompt.value) made.prompt.value = panel.suited.prompt || "";
        } catch (error) {
            write(message, error.message);
        }
    }

    function showChosen(panel) {
        const [one, other] = panel.chosen;
        const {comparison, grid} = panel.parts;
        comparison.hidden = !one;
        const {title, fields, draw} = comparison.parts;
        fields.hidden = draw.hidden = !other;
        if (one) {
            write(title, other ? say("gallery.compare_two", {one, other}) : say("gallery.compare_one", {name: one}));
        }
        for (const card of grid.children) {
            const isChosen = panel.chosen.includes(card.lora.name);
            const mark = card.querySelector("[data-action=compare]");
            if (mark) mark.setAttribute("aria-pressed", String(isChosen));
            card.classList.toggle(`${ROOT}-is-chosen`, isChosen);
        }
    }

    async function compare(panel) {
        const {made, draw, message} = panel.parts.comparison.parts;
        await page.imageJobs.once(draw, async () => {
            const suited = await ask(`lora?name=${encodeURIComponent(panel.chosen[0])}`);
            const asked = {loras: panel.chosen};
            for (const name of ["negative", "model", "vae", "prediction", "clip_skip", "size"]) {
                if (suited[name] !== undefined) asked[name] = suited[name];
            }
            for (const [name, element] of Object.entries(made)) asked[name] = element.value;
            await ask("drawings/comparison", asked);
            write(message, "");
            page.imageJobs.watch();
        }).catch((error) => write(message, error.message));
    }

    // ---- one of them ----------------------------------------------------------------------------------------------

    async function open(panel, lora) {
        const dialog = make("dialog", "gallery-dialog");
        dialog.setAttribute("aria-label", lora.name);
        dialog.addEventListener("close", () => {
            dialog.remove();
            // A card that was made anew meanwhile does not get the focus back by itself.
            const card = panel.cards.get(lora.name);
            if (card && document.activeElement === document.body) {
                card.querySelector(`.${ROOT}-actions [data-action=more]`).focus({preventScroll: true});
            }
        });
        dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
        const head = make("div", "gallery-head");
        const close = button(say("gallery.close"), () => dialog.close());
        head.append(make("h3", "", lora.name), close);
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        message.hidden = true;
        const body = make("div", "gallery-body");
        dialog.append(head, message, body);
        document.getElementById(ROOT).append(dialog);
        dialog.showModal();
        try {
            fill(panel, lora, dialog, body, await ask(`gallery/one?name=${encodeURIComponent(lora.name)}`));
        } catch (error) {
            write(message, error.message);
        }
    }

    function fill(panel, lora, dialog, body, found) {
        const {kept} = found;
        const folder = kept.folder ? ["samples", ...kept.folder.map(encodeURIComponent)].join("/") : "";
        const parts = [];
        if (kept.strip) parts.push(imageFigure(kept.strip, say("gallery.strip", kept), folder));
        parts.push(...kept.words.map((each, at) => make("p", at ? "" : "asked", each)));
        parts.push(actionsOf(lora, dialog));
        if (kept.pictures.length) {
            const film = make("div", "gallery-film");
            film.append(...kept.pictures.map((each) => page.previewFigure(each, folder)));
            parts.push(make("h4", "", say("gallery.film")), film);
        }
        if (found.problem) parts.push(make("p", "wrong", found.problem));
        parts.push(textsOf(panel, lora, dialog, body, found));
        parts.push(folded(say("gallery.metadata", {count: Object.keys(found.metadata).length}), found.metadata));
        const written = Object.keys(found.card).length;
        if (written) parts.push(folded(say("gallery.card", {count: written}), found.card));
        parts.push(make("p", "note", found.path));
        body.replaceChildren(...parts);
    }

    function actionsOf(lora, dialog) {
        const actions = make("div", "actions");
        const act = (name, what) => actions.append(button(say(`gallery.${name}`), what));
        act("try", () => {
            dialog.close();
            page.tryLora(lora.name);
        });
        const copies = button(say("gallery.copy"), () => copy(copies, tagOf(lora.name)));
        copies.title = say("gallery.copy_help", {tag: tagOf(lora.name)});
        actions.append(copies);
        const link = make("a", "button", say("gallery.download"));
        link.href = address(`gallery/file?name=${encodeURIComponent(lora.name)}`);
        link.download = `${stemOf(lora.name)}.safetensors`;
        actions.append(link);
        const intoForm = (what) => {
            dialog.close();
            pressUnseen("pick", "picked", `${what}:${lora.name}`);
        };
        act("train_on", () => intoForm("train-on"));
        if (lora.ours) act("show_settings", () => intoForm("settings-of"));
        return actions;
    }

    /* Title, trigger word and description, to be changed. */
    function textsOf(panel, lora, dialog, body, found) {
        const form = make("form", "gallery-texts");
        const boxes = {};
        for (const name of ["title", "trigger", "description"]) {
            const box = document.createElement(name === "description" ? "textarea" : "input");
            if (name === "description") box.rows = 3;
            box.value = found.texts[name];
            boxes[name] = box;
            form.append(labelled(say(`gallery.${name}`), box));
        }
        const answer = make("p", "note");
        answer.setAttribute("role", "status");
        answer.hidden = true;
        const wrong = make("p", "wrong");
        wrong.setAttribute("role", "alert");
        wrong.hidden = true;
        const save = button(say("gallery.save"), () => {});
        save.type = "submit";
        const undo = button(say("gallery.undo"), () => change("undo", {}, "gallery.undone"));
        undo.hidden = !found.can_undo;
        const buttons = make("div", "actions");
        buttons.append(save, undo);
        form.prepend(make("h4", "", say("gallery.about")));
        form.append(buttons, answer, wrong);

        async function change(route, texts, told) {
            save.disabled = undo.disabled = true;
            try {
                const now = await ask(`gallery/${route}`, {name: lora.name, ...texts});
                for (const [name, box] of Object.entries(boxes)) box.value = now.texts[name];
                undo.hidden = !now.can_undo;
                write(wrong, "");
                write(answer, say(told));
                load(panel);
            } catch (error) {
                write(answer, "");
                write(wrong, error.message);
            }
            save.disabled = undo.disabled = false;
        }

        form.addEventListener("submit", (event) => {
            event.preventDefault();
            const texts = Object.fromEntries(Object.entries(boxes).map(([name, box]) => [name, box.value]));
            change("edit", texts, "gallery.saved");
        });
        return form;
    }

    function folded(heading, entries) {
        const fold = document.createElement("details");
        const list = make("dl", "gallery-entries");
        for (const [key, value] of Object.entries(entries)) list.append(make("dt", "", key), make("dd", "", value));
        fold.append(make("summary", "", heading), list);
        return fold;
    }

    // ---- kept up to date --------------------------------------------------------------------------------------------

    /* When the tab is opened, when a run has saved something, and while files are being read. */
    function show(panel, status) {
        const isSeen = panel.offsetParent !== null;
        const run = status.run;
        const version = run ? `${run.job.id} ${run.state} ${run.saved.length} ${Boolean(run.effect)}` : "";
        const isNew = isSeen && (!panel.wasSeen || panel.version !== version || panel.left);
        panel.wasSeen = isSeen;
        if (isNew) {
            panel.version = version;
            load(panel);
        }
    }

    addPanel("gallery", {build, show});
})();
