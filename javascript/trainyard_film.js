/* An image made during training, large: at other strengths, and the LoRA of its step, to be kept. */
(function () {
    "use strict";

    const page = window.trainyard;
    const {ROOT, ask, say, make, button, write} = page;

    /* A plain click on one of a row of images opens it here; any other opens the file, as links do. */
    function clicked(event) {
        const link = event.target.closest && event.target.closest(`#${ROOT} figure a`);
        const figure = link && link.parentElement;
        if (!figure || !figure.image || event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        const figures = [...figure.parentElement.children].filter((each) => each.image);
        open(figures.sort((one, other) => one.image.step - other.image.step), figure);
    }

    function open(figures, first) {
        const dialog = make("dialog", "film");
        dialog.addEventListener("close", () => {
            page.imageJobs.leave("film");
            dialog.remove();
        });
        dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
        dialog.addEventListener("keydown", (event) => {
            const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
            if (by && !event.target.matches("input")) move(by);
        });
        const title = make("h3");
        title.setAttribute("role", "status");
        const close = button(say("film.close"), () => dialog.close());
        const head = make("div", "gallery-head");
        head.append(title, close);
        const image = document.createElement("img");
        const prompt = make("p", "note");
        const [back, on] = [button(say("film.back"), () => move(-1)), button(say("film.on"), () => move(1))];
        const sheet = make("div");
        const draw = button(say("film.draw"), () => act(draw, "drawings/film", {image: nameOf()}, () => {
            // Only now: what was drawn for another image is not of this one.
            if (!sheet.childElementCount) page.imageJobs.place("film", sheet);
            page.imageJobs.watch();
            return "";
        }));
        const keep = button(say("film.keep"), () => act(keep, `samples/${nameOf().map(encodeURIComponent).join("/")}/keep`,
            {}, (found) => say(found.before ? "film.kept_before" : "film.kept", {name: found.lora})));
        const buttons = make("div", "actions");
        buttons.append(back, on, draw, keep);
        const waits = make("p", "note");
        const gone = make("p", "note", say("film.gone"));
        const answer = make("p", "note");
        answer.setAttribute("role", "status");
        const wrong = make("p", "wrong");
        wrong.setAttribute("role", "alert");
        answer.hidden = wrong.hidden = true;
        dialog.append(head, image, prompt, buttons, waits, gone, answer, wrong, sheet);
        let at = figures.indexOf(first);

        /* Its folders and its name, from its address: ../samples/DAY/RUN/NAME or, of the latest run, ../pictures/NAME. */
        function nameOf() {
            const {pathname} = new URL(figures[at].querySelector("a").href);
            const parts = pathname.split("/").map(decodeURIComponent);
            return parts.at(-4) === "samples" ? parts.slice(-3) : [...page.runFolder || ["", ""], parts.at(-1)];
        }

        function move(by) {
            at = Math.min(figures.length - 1, Math.max(0, at + by));
            page.imageJobs.leave("film");
            sheet.replaceChildren();
            show();
        }

        function show() {
            const {image: told} = figures[at];
            const link = figures[at].querySelector("a");
            write(title, figures[at].querySelector("figcaption").textContent);
            image.src = link.href;
            image.alt = title.textContent;
            write(prompt, told.prompt || "");
            back.disabled = at === 0;
            on.disabled = at === figures.length - 1;
            draw.hidden = keep.hidden = !told.kept;
            gone.hidden = Boolean(told.kept);
            write(answer, "");
            write(wrong, "");
        }

        const act = (pressed, route, body, told) => page.imageJobs.once(pressed, async () => {
            try {
                const found = await ask(route, body);
                write(wrong, "");
                write(answer, told(found));
            } catch (error) {
                write(answer, "");
                write(wrong, error.message);
            }
        });

        document.getElementById(ROOT).append(dialog);
        page.imageJobs.gate(() => [draw], waits);
        show();
        dialog.showModal();
    }

    document.addEventListener("click", clicked);
})();
