/* How far a run is, in the title of the page, and a notification when it ends, for whoever looks at something else. */
(function () {
    "use strict";

    const {say, make, write, addPanel} = window.trainyard;
    const KEPT = "trainyard-notify";
    const ENDED = ["done", "failed", "stopped"];

    let own = null; // the page's title without us
    let told; // the last run that has ended, which is told once; undefined before the server is asked first
    let ended = []; // of the runs that followed one another: whether each is done

    function build(panel) {
        const label = make("label", "check");
        const box = document.createElement("input");
        box.type = "checkbox";
        box.checked = isWanted();
        label.append(box, make("span", "", say("end.notify")));
        const answer = make("p", "wrong");
        answer.setAttribute("role", "status");
        answer.hidden = true;
        panel.append(label, answer);
        box.addEventListener("change", async () => {
            const refused = box.checked ? await refusal() : "";
            if (refused) box.checked = false;
            localStorage.setItem(KEPT, box.checked ? "yes" : "");
            write(answer, refused);
        });
    }

    const isWanted = () => localStorage.getItem(KEPT) === "yes" && isAllowed();
    const isAllowed = () => "Notification" in window && Notification.permission === "granted";

    /* Why the page may not notify; empty if it may. Browsers ask their user only after a click. */
    async function refusal() {
        if (!("Notification" in window)) return say("end.no_notice");
        return await Notification.requestPermission() === "granted" ? "" : say("end.refused");
    }

    function show(panel, status) {
        const run = status.run;
        panel.hidden = !status.running && !panel.querySelector("input").checked;
        const isOn = status.running && run && !ENDED.includes(run.state);
        const over = run && !isOn ? `${run.job.id} ${run.job.started}` : told || "";
        if (told !== undefined && over !== told) tell(run, status); // a short one may not have been seen to go on
        told = over;
        showTitle(run, isOn);
    }

    function tell(run, status) {
        ended.push(run.state === "done");
        const {length: count} = ended;
        const done = ended.filter(Boolean).length;
        const after = status.running ? say("end.next") : count > 1 ? say("end.all", {count, done}) : run.message || "";
        if (!status.running) ended = [];
        showing = {state: run.state, name: run.job.name};
        if (isWanted()) new Notification(say(`end.is_${run.state}`, run.job), {body: after, tag: "trainyard"});
    }

    let showing = null; // what ended while nobody looked

    function showTitle(run, isOn) {
        if (own === null) own = document.title;
        let title = own;
        if (isOn) {
            showing = null;
            const percent = run.steps ? Math.floor(100 * run.step / run.steps) : 0;
            const state = run.state === "paused" ? "paused" : run.step ? "running" : "starting";
            title = say(`end.${state}`, {percent, name: run.job.name});
        } else if (showing) {
            title = say(`end.${showing.state}`, showing);
            if (!document.hidden && document.hasFocus()) seen();
        } else if (!ours(document.title)) {
            own = title = document.title; // the host has changed its own
        }
        if (document.title !== title) {
            document.title = title;
            written = title;
        }
    }

    let written = "";
    const ours = (title) => title === written;

    /* It has been read a while after somebody has come back. */
    function seen() {
        setTimeout(() => (showing = null), 5000);
    }

    addPanel("end", {build, show});
})();
