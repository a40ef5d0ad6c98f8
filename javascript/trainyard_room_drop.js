/* Files on their way into a set: dropped, pasted or chosen; images, folders and zip archives. */
(function () {
    "use strict";

    const {ROOT, ask, say, make, button, write, room} = window.trainyard;

    const AT_ONCE = 3;
    const TAKEN = /\.(jpe?g|jpe|jif|jfif|a?png|gif|tiff?|bmp|webp|pcx|ico|avif|hei[cf]|hif|jxl|txt|caption|captions|cap|tags|json|jsonl|zip)$/i;
    const MOST_NAMED = 5;

    /* A place to drop files on. into: the id of the set they go to, or empty for a new one; done: called with the set. */
    function place({into = () => (room.set ? room.set.id : ""), done} = {}) {
        const zone = make("div", "room-drop");
        const words = make("p", "room-drop-words");
        const bar = document.createElement("progress");
        bar.setAttribute("aria-label", say("room.sending_progress"));
        const told = make("p", "room-status");
        told.setAttribute("role", "status");
        const message = make("p", "wrong");
        message.setAttribute("role", "alert");
        const problems = make("ul", "room-problems");
        const files = chooser("room.choose_files", {multiple: true, accept: "image/*,.txt,.caption,.json,.zip"});
        const folder = chooser("room.choose_folder", {webkitdirectory: true});
        const stop = button(say("room.cancel"), () => { zone.stopped = true; });
        const row = make("div", "room-drop-row");
        row.append(files, folder, stop);
        words.textContent = say("room.drop");
        zone.append(words, row, bar, told, message, problems);
        for (const part of [bar, told, message, problems, stop]) part.hidden = true;
        zone.parts = {words, bar, told, message, problems, stop, files, folder};

        async function take(gathering) {
            if (zone.isBusy) return;
            zone.isBusy = true;
            for (const part of [told, message]) write(part, "");
            problems.hidden = true;
            try {
                const gathered = await gathering;
                const set = await bring(zone, gathered, into());
                if (set) await done(set);
            } catch (error) {
                write(message, error.message);
            }
            zone.isBusy = false;
            for (const part of [bar, stop]) part.hidden = true;
        }

        function chooser(key, attributes) {
            const label = make("label", "button trainyard-room-chooser", say(key));
            const input = document.createElement("input");
            input.type = "file";
            Object.assign(input, attributes);
            input.addEventListener("change", () => {
                const chosen = [...input.files].map((file) => ({file, name: file.webkitRelativePath || file.name}));
                input.value = ""; // so that the same can be chosen again
                if (chosen.length) take(chosen);
            });
            label.append(input);
            return label;
        }

        const over = (on) => zone.classList.toggle(`${ROOT}-is-over`, on);
        zone.addEventListener("dragover", (event) => {
            event.preventDefault();
            over(true);
        });
        zone.addEventListener("dragleave", (event) => zone.contains(event.relatedTarget) || over(false));
        zone.addEventListener("drop", (event) => {
            event.preventDefault();
            event.stopPropagation();
            over(false);
            take(gather(event.dataTransfer));
        });
        zone.take = take;
        return zone;
    }

    /* Everything that was dropped, with what is in its folders; they have to be asked for before this first waits. */
    async function gather(transfer) {
        const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
        if (!entries.length) return [...transfer.files].map((file) => ({file, name: file.name}));
        const found = [];
        const waiting = [...entries];
        while (waiting.length) {
            const entry = waiting.shift();
            if (entry.isFile) {
                const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
                found.push({file, name: entry.fullPath.replace(/^\/+/, "")});
            } else {
                const reader = entry.createReader();
                let some;
                do { // a hundred at a time
                    some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
                    waiting.push(...some);
                } while (some.length);
            }
        }
        return found;
    }

    /* What a new set is called: as the folder or the archive, if it is one. */
    function nameOf(gathered) {
        const tops = new Set(gathered.map(({name}) => name.split("/")[0]));
        const first = gathered[0].name;
        if (tops.size === 1 && (first.includes("/") || /\.zip$/i.test(first))) return [...tops][0].replace(/\.zip$/i, "");
        return say("room.new_name");
    }

    async function bring(zone, gathered, into) {
        const {bar, told, stop} = zone.parts;
        const wanted = gathered.filter(({name}) => TAKEN.test(name) && !/(^|\/)(\.|__MACOSX)/.test(name));
        if (!wanted.length) throw new Error(say("room.nothing_dropped"));
        zone.stopped = false;
        bar.hidden = stop.hidden = false;
        const id = into || (await room.makeSet(nameOf(wanted))).id;
        const {batch} = await ask("sets/incoming", {set: id});
        const problems = [];
        let sent = 0;
        const size = wanted.reduce((sum, {file}) => sum + file.size, 0) || 1;
        let bytes = 0;
        const queue = [...wanted];
        const worker = async () => {
            while (queue.length && !zone.stopped) {
                const {file, name} = queue.shift();
                try {
                    await ask(`sets/incoming/file?batch=${batch}&name=${encodeURIComponent(name)}`, file);
                } catch (error) {
                    problems.push({name, what: error.message});
                }
                sent += 1;
                bytes += file.size;
                bar.max = 1;
                bar.value = bytes / size;
                write(told, say("room.sending", {done: sent, total: wanted.length}));
            }
        };
        bar.removeAttribute("value");
        await Promise.all(Array.from({length: AT_ONCE}, worker));
        if (zone.stopped) {
            await ask("sets/incoming/drop", {batch});
            write(told, say("room.cancelled"));
            return null;
        }
        const found = await ask("sets/incoming/end", {batch});
        tell(zone, found, problems);
        await room.loadSets();
        return id;
    }

    function tell(zone, found, failed) {
        const {told, problems} = zone.parts;
        const has = found.images || found.captions;
        const words = [say(has ? "room.came_in" : "room.none_came_in", {images: found.images, captions: found.captions})];
        if (found.masks) words.push(say("room.masks_came_in", {count: found.masks}));
        if (found.there) words.push(say("room.were_there", {count: found.there}));
        if (found.renamed.length) words.push(say("room.renamed", {count: found.renamed.length, name: found.renamed[0][0], other: found.renamed[0][1]}));
        write(told, words.join(" "));
        const named = ({name, what}) => (what.startsWith(`${name}: `) ? what : `${name}: ${what}`); // many answers name it
        const left = [...failed.map(named), ...found.problems.map((each) => say("room.left_out", each))];
        const more = failed.length + found.problems_in_all - MOST_NAMED;
        const lines = left.slice(0, MOST_NAMED).map((line) => make("li", "", line));
        if (found.no_images_in_all) lines.unshift(make("li", "", noImages(found)));
        if (more > 0) lines.push(make("li", "", say("data.more_problems", {count: more})));
        problems.replaceChildren(...lines);
        problems.hidden = !lines.length;
    }

    /* What could not be read as an image, in one sentence. */
    function noImages({no_images: all, no_images_in_all: count}) {
        const names = all.slice(0, MOST_NAMED).join(", ");
        const more = count - Math.min(MOST_NAMED, all.length);
        const said = more ? say("room.no_images_and_more", {names, more}) : names;
        return say(count === 1 ? "room.no_image" : "room.no_images", {names: said});
    }

    room.drop = {place, gather, nameOf};
})();
