/* Within a WebUI: a button that puts the latest LoRA, with its trigger word, into the prompt of txt2img; and keys that
 * are not the WebUI's here.
 */
(function () {
    "use strict";

    const {ROOT, ask, say, make, write, addPanel} = window.trainyard;

    const field = () => document.querySelector("#txt2img_prompt textarea");
    const nameOf = (path) => path.split(/[\\/]/).pop().replace(/\.[^.]+$/, "");

    function build(panel) {
        const button = make("button", "button");
        button.type = "button";
        const message = make("p", "note");
        message.setAttribute("role", "status");
        panel.append(button, message);
        panel.parts = {button, message};
        button.addEventListener("click", () => use(panel));
        document.getElementById(ROOT).addEventListener("keydown", keep);
    }

    /* At its keys for generating, skipping and interrupting a WebUI looks for buttons that this tab does not have. */
    function keep(event) {
        const isEnter = event.key === "Enter" && (event.ctrlKey || event.metaKey || event.altKey);
        if (isEnter || event.key === "Escape") event.stopPropagation();
    }

    function show(panel, status) {
        const {button, message} = panel.parts;
        const run = status.run;
        const path = run && run.path && run.state !== "running" && run.state !== "paused" ? run.path : "";
        panel.hidden = !path || !field();
        if (panel.dataset.path === path) return;
        panel.dataset.path = path;
        panel.run = run;
        write(button, say("webui.use", {tag: `<lora:${nameOf(path)}:1>`}));
        write(message, "");
    }

    async function use(panel) {
        const {message} = panel.parts;
        const tag = `<lora:${nameOf(panel.dataset.path)}:1>`;
        let trigger = "";
        try {
            trigger = (await ask(`jobs/${panel.run.job.id}`)).settings.lora_trigger_word || "";
        } catch (error) {
            trigger = ""; // the job has been removed from the queue
        }
        const prompt = field();
        const missing = [trigger, tag].filter((part) => part && !prompt.value.includes(part));
        prompt.value = [prompt.value.trim(), ...missing].filter(Boolean).join(" ");
        prompt.dispatchEvent(new Event("input", {bubbles: true}));
        if (typeof window.updateInput === "function") window.updateInput(prompt);
        write(message, say("webui.used"));
    }

    addPanel("use", {build, show});
})();
