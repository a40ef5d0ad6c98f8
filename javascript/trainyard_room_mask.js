/* Masks of the data room: painted over an image that is shown large. What is painted does not count in training. */
(function () {
    "use strict";

    const {ROOT, address, ask, say, make, button, write, room} = window.trainyard;

    const MOST_SIDE = 1024; // pixels of what is painted on
    const RED = [220, 38, 38];

    /* The large view has another image: what was painted on the one before is put away. */
    function shown({detail: {dialog, bar, item, image}}) {
        if (!dialog.mask) dialog.mask = tools(dialog, bar);
        dialog.mask.end();
        dialog.mask.item = item;
        dialog.mask.image = image;
        dialog.mask.open.hidden = item.aside;
    }

    function tools(dialog, bar) {
        const mask = {item: null, image: null, canvas: null, erases: false};
        mask.open = button(say("mask.paint"), () => begin(mask));
        mask.row = make("div", "room-large-bar");
        const brush = button(say("mask.brush"), () => choose(mask, false));
        const eraser = button(say("mask.eraser"), () => choose(mask, true));
        const size = document.createElement("input");
        Object.assign(size, {type: "range", min: 2, max: 40, value: 12});
        size.setAttribute("aria-label", say("mask.size"));
        mask.size = size;
        mask.brush = brush;
        mask.eraser = eraser;
        mask.told = make("p", "room-status");
        mask.told.setAttribute("role", "status");
        mask.told.hidden = true;
        const invert = button(say("mask.invert"), () => turn(mask));
        const clear = button(say("mask.clear"), () => mask.canvas.getContext("2d").clearRect(0, 0, mask.canvas.width, mask.canvas.height));
        const save = button(say("mask.save"), () => keep(mask));
        save.classList.add(`${ROOT}-mask-save`);
        const leave = button(say("room.cancel"), () => mask.end());
        mask.row.append(brush, eraser, size, invert, clear, save, leave);
        mask.row.hidden = true;
        mask.end = () => {
            if (mask.canvas) mask.canvas.remove();
            mask.canvas = null;
            mask.row.hidden = true;
            mask.open.disabled = false;
            write(mask.told, "");
        };
        bar.prepend(mask.open);
        bar.before(mask.row, mask.told);
        return mask;
    }

    function choose(mask, erases) {
        mask.erases = erases;
        mask.brush.setAttribute("aria-pressed", String(!erases));
        mask.eraser.setAttribute("aria-pressed", String(erases));
    }

    const query = (mask) => `set=${encodeURIComponent(room.set.id)}&name=${encodeURIComponent(mask.item.name)}`;

    async function begin(mask) {
        const {image} = mask;
        await image.decode().catch(() => undefined);
        if (!image.naturalWidth) return;
        const scale = Math.min(1, MOST_SIDE / Math.max(image.naturalWidth, image.naturalHeight));
        const canvas = document.createElement("canvas");
        canvas.className = `${ROOT}-room-mask`;
        canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
        canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", say("mask.over", {name: mask.item.name}));
        image.after(canvas);
        mask.canvas = canvas;
        mask.row.hidden = false;
        mask.open.disabled = true;
        choose(mask, false);
        paintWith(mask);
        write(mask.told, say("mask.how"));
        if (mask.item.mask) await load(mask);
    }

    /* The mask that there is, as if it had been painted: the darker it is, the redder. */
    async function load(mask) {
        const {canvas} = mask;
        const found = new Image();
        found.src = `${address(`sets/mask?${query(mask)}`)}&t=${Date.now()}`;
        await found.decode().catch(() => undefined);
        if (!found.naturalWidth || mask.canvas !== canvas) return;
        const context = canvas.getContext("2d");
        context.drawImage(found, 0, 0, canvas.width, canvas.height);
        const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
        for (let at = 0; at < pixels.data.length; at += 4) pixels.data.set([...RED, 255 - pixels.data[at]], at);
        context.putImageData(pixels, 0, 0);
    }

    function paintWith(mask) {
        const {canvas} = mask;
        const context = canvas.getContext("2d");
        let last = null;
        const place = (event) => {
            const box = canvas.getBoundingClientRect();
            return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
        };
        const stroke = (event) => {
            const now = place(event);
            context.globalCompositeOperation = mask.erases ? "destination-out" : "source-over";
            context.strokeStyle = `rgb(${RED.join(" ")})`;
            context.lineCap = context.lineJoin = "round";
            context.lineWidth = Math.max(canvas.width, canvas.height) * Number(mask.size.value) / 200;
            context.beginPath();
            context.moveTo(...(last || now));
            context.lineTo(now[0] + 0.01, now[1]);
            context.stroke();
            last = now;
        };
        canvas.addEventListener("pointerdown", (event) => {
            event.preventDefault();
            canvas.setPointerCapture(event.pointerId);
            last = null;
            stroke(event);
        });
        canvas.addEventListener("pointermove", (event) => event.buttons && last && stroke(event));
        canvas.addEventListener("pointerup", () => { last = null; });
    }

    function turn(mask) {
        const context = mask.canvas.getContext("2d");
        const pixels = context.getImageData(0, 0, mask.canvas.width, mask.canvas.height);
        for (let at = 0; at < pixels.data.length; at += 4) pixels.data.set([...RED, 255 - pixels.data[at + 3]], at);
        context.putImageData(pixels, 0, 0);
    }

    /* As training reads it: white, and black where it is painted. */
    async function keep(mask) {
        const {canvas} = mask;
        const grey = document.createElement("canvas");
        Object.assign(grey, {width: canvas.width, height: canvas.height});
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        for (let at = 0; at < pixels.data.length; at += 4) {
            const level = 255 - pixels.data[at + 3];
            pixels.data.set([level, level, level, 255], at);
        }
        grey.getContext("2d").putImageData(pixels, 0, 0);
        const content = await new Promise((resolve) => grey.toBlob(resolve, "image/png"));
        try {
            await ask(`sets/mask?${query(mask)}`, content);
            await room.reload();
            mask.item = room.items.find((each) => each.name === mask.item.name && !each.aside) || mask.item;
            mask.end();
            write(mask.told, say("mask.saved"));
        } catch (error) {
            write(mask.told, error.message);
        }
    }

    document.addEventListener("trainyard-room-large", shown);
})();
