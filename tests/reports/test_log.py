"""The loss log, also cut short, and the figures made from it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from trainer.config.settings import Settings
from trainer.errors import OutputError, UserError
from trainer.job import Step
from trainer.reports.log import CSVLog, LogColumns, read_log, smoothed
from trainer.reports.plot import MOST_POINTS, loss_figure, strength_sheet, thinned


def write(path: Path, steps: int = 30, groups: int = 1) -> Path:
    log = CSVLog(path, replace(Settings(), save_lora_name='a, "b"'), "SD1", LogColumns(groups))
    for number in range(1, steps + 1):
        log(Step(number, steps, 1 / number, (1e-4 * number, 5e-5)))
    log.close()
    return path


def test_the_file_is_trainers_known_layout(tmp_path: Path) -> None:
    with write(tmp_path / "x.csv", 2, 2).open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[:8]] == [
        "network_rank", "network_alpha", "train_learning_rate", "train_iterations", "train_lr_scheduler",
        "model_version", "train_optimizer", "save_lora_name",
    ]  # fmt: skip
    assert rows[7][1] == 'a, "b"'
    assert rows[8] == ["Step", "Loss", "Learning Rate 1", "Learning Rate 2"]
    assert rows[9:] == [["1", "1.0", "0.0001", "5e-05"], ["2", "0.5", "0.0002", "5e-05"]]


def test_rows_are_on_the_disk_while_the_run_goes_on(tmp_path: Path) -> None:
    log = CSVLog(tmp_path / "x.csv", Settings(), "SD1")
    log(Step(1, 9, 0.5, (1e-4,)))
    assert read_log(tmp_path / "x.csv").rows["Loss"].tolist() == [0.5]


def test_a_half_written_row_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", 5)
    path.write_text(path.read_text() + "6,0.1")
    assert read_log(path).rows["Step"].tolist() == [1, 2, 3, 4, 5]


def test_a_log_with_no_steps_yet_is_drawn(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "x.csv", 0))
    assert len(log.rows) == 0
    loss_figure([log]).savefig(tmp_path / "x.png")


def test_smoothing_is_the_corrected_moving_average() -> None:
    losses = np.random.default_rng(0).random(50)
    weights = 0.95 ** np.arange(50)[::-1]
    wanted = [(losses[: n + 1] * weights[49 - n :]).sum() / weights[49 - n :].sum() for n in range(50)]
    np.testing.assert_allclose(smoothed(losses), wanted)


def test_what_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_log(tmp_path / "none.csv")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UserError, match="is not text"):
        read_log(tmp_path / "picture.csv")
    (tmp_path / "other.csv").write_text("Date,Price\n1,2\n")
    with pytest.raises(UserError, match="is no loss log"):
        read_log(tmp_path / "other.csv")


TITLES = "Step,Loss,Learning Rate 1\n"
ODD = {
    "infinite": TITLES + "1,inf,1e-4\n2,-inf,nan\n3,1e400,1e-4\n4,0.5,1e-4\n",
    "huge": TITLES + "-1e308,1e308,1\n1e308,-1e308,1\n2,3e38,3e38\n3,-3e38,0\n",
    "quotes": TITLES + '"1,2\n"2","0.5","1e-4"\n',
    "empty": TITLES + "\n,,\n \n",
    "zeros": TITLES.replace(",", ",\0") + "1,0.5\0,1e-4\n",
    "same steps": TITLES + "1,0.5,1e-4\n" * 50,
    "backwards": TITLES + "".join(f"{step},0.5,1e-4\n" for step in range(50, 0, -1)),
    "many columns": "Step,Loss," + ",".join(f"Learning Rate {n}" for n in range(100_000)) + "\n1,0.5" + ",1" * 100_000,
    "one long cell": TITLES + "1," + "9" * 5_000_000 + ",1e-4\n2,0.5,1e-4\n",
    "negative rates": TITLES + "1,-0.5,-1e-4\n2,-0.4,-1e-4\n",
    "words": TITLES + "one,two,three\n1,loss,rate\n",
    "old Macintosh": TITLES.replace("\n", "\r") + "1,0.5,1e-4\r2,0.4,1e-4\r",
    "odd head": 'network_rank,"4\n' + "x" * 200_000 + "\n" + TITLES + "1,0.5,1e-4\n",
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore:Data has no positive values")
@pytest.mark.filterwarnings("ignore:Attempt to set non-positive")
@pytest.mark.filterwarnings("ignore:Attempting to set identical")
def test_any_content_is_drawn(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(ODD[name], encoding="utf-8", newline="")
    log = read_log(path)
    assert len(log.rows.columns) < 110
    assert np.isfinite(log.rows["Step"]).all()
    assert not np.isinf(log.rows.to_numpy()).any()
    for logarithmic in (False, True):
        loss_figure([log], logarithmic=logarithmic).savefig(tmp_path / "x.png")


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp932", "cp1252", "gb18030"])
def test_a_log_saved_again_in_another_encoding(tmp_path: Path, codec: str) -> None:
    name = "été" if codec == "cp1252" else "猫"
    (tmp_path / "x.csv").write_bytes(f"save_lora_name,{name}\n{TITLES}1,0.5,1e-4\n2,0.25,1e-4\n".encode(codec))
    assert read_log(tmp_path / "x.csv").rows["Loss"].tolist() == [0.5, 0.25]


def test_a_log_longer_than_any_run(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(TITLES + "\n" * 2_000_001)
    with pytest.raises(UserError, match="more than 2,000,000 rows"):
        read_log(tmp_path / "rows.csv")
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match="is too large for a loss log"):
        read_log(tmp_path / "large.csv")


def test_a_log_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="The log cannot be written"):
        CSVLog(tmp_path / "file" / "x.csv", Settings(), "SD1")


def test_several_runs_over_one_another(tmp_path: Path) -> None:
    figure = loss_figure([read_log(write(tmp_path / f"{name}.csv")) for name in "ab"], logarithmic=True)
    loss_axes, rate_axes = figure.axes
    assert [text.get_text() for text in loss_axes.get_legend().get_texts()] == ["a", "b"]
    assert loss_axes.get_yscale() == "log"
    assert len(rate_axes.lines) == 2
    np.testing.assert_allclose(loss_axes.lines[0].get_ydata(), 1 / np.arange(1, 31))


@pytest.mark.parametrize("with_log", [False, True])
def test_sheet_shows_every_picture_once(tmp_path: Path, with_log: bool) -> None:
    colours = [[(250, 0, 0), (0, 250, 0), (0, 0, 250)], [(250, 250, 0), (0, 250, 250), (250, 0, 250)]]
    pictures = [[Image.new("RGB", (64, 64), colour) for colour in row] for row in colours]
    log = read_log(write(tmp_path / "x.csv")) if with_log else None
    figure = strength_sheet("title", ["one", "two"], [-1.0, 0.0, 1.0], pictures, log)
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "x.png")
    drawn = np.asarray(Image.open(tmp_path / "x.png").convert("RGB")).reshape(-1, 3)
    for row in colours:
        for colour in row:
            assert (np.abs(drawn.astype(int) - colour).max(axis=1) < 5).sum() > 500


# ---- what is drawn of long logs and of many --------------------------------------------------------------------------


def test_a_long_curve_keeps_its_shape_in_few_points() -> None:
    random = np.random.default_rng(3)
    for length in (MOST_POINTS, MOST_POINTS + 1, 12_345, 100_000):
        x, y = np.arange(length), random.standard_normal(length)
        y[[length // 3, length // 2]] = 40, -40  # one step each, that must not be lost
        y[length // 5] = np.nan
        steps, values = thinned(x, y)
        assert len(steps) <= MOST_POINTS
        assert (np.diff(steps) > 0).all()
        assert (steps[0], steps[-1]) == (0, length - 1)
        assert (np.nanmax(values), np.nanmin(values)) == (40, -40)
        np.testing.assert_array_equal(values, y[steps.astype(int)])
        covered = 4 * length / MOST_POINTS + 1  # each stretch leaves two points
        assert np.diff(steps).max() <= 2 * covered


def test_forty_runs_look_different_and_keep_their_names(tmp_path: Path) -> None:
    names = ["_hidden", r"a $\nonsense{$ b", "costs $5", "x" * 300, *(f"run {number}" for number in range(36))]
    logs = [replace(read_log(write(tmp_path / "x.csv", 3)), name=name) for name in names]
    figure = loss_figure(logs)
    legend = figure.axes[0].get_legend()
    looks = {(line.get_color(), str(line._dash_pattern)) for line in legend.get_lines()}
    assert len(looks) == 40
    shown = [text.get_text().replace(r"\$", "$") for text in legend.get_texts()]
    assert shown[:3] == names[:3]
    assert len(shown[3]) < 60
    figure.savefig(tmp_path / "x.png")  # a formula that is none would fail here


def test_only_what_is_wanted_is_drawn(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "x.csv", 30, 2))

    def drawn(**wanted: bool) -> list[tuple[str, int]]:
        return [(axes.get_ylabel(), len(axes.get_lines())) for axes in loss_figure([log], **wanted).axes]

    assert drawn() == [("loss", 2), ("learning rate", 2)]
    assert drawn(raw=False) == [("loss", 1), ("learning rate", 2)]
    assert drawn(smooth=False, rate=False) == [("loss", 1)]
    assert drawn(raw=False, smooth=False) == [("learning rate", 2)]
    with pytest.raises(UserError, match="nothing to draw"):
        drawn(raw=False, smooth=False, rate=False)


def test_the_dark_figure_is_light_on_dark(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "x.csv"))
    for dark in (False, True):
        figure = loss_figure([log], dark=dark)
        figure.savefig(tmp_path / "x.png")
        with Image.open(tmp_path / "x.png") as picture:
            ground = picture.convert("L").getpixel((1, 1))
        assert (ground < 60) is dark
        ink = figure.axes[0].yaxis.label.get_color()
        assert (int(ink[1:3], 16) > 180) is dark


def test_a_validation_loss_is_read_and_drawn_where_it_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    log = CSVLog(path, Settings(), "SD1", LogColumns(1, validates=True))
    for number in range(1, 9):
        log(Step(number, 8, 1 / number, (1e-4,), 2 / number if number % 4 == 0 else None))
    log.close()
    read = read_log(path)
    assert read.rows["Validation Loss"].dropna().tolist() == [0.5, 0.25]
    (axes, _) = loss_figure([read]).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in dots] == [([4, 8], [0.5, 0.25])]
    assert not [line for line in loss_figure([read_log(write(path))]).axes[0].lines if line.get_marker() == "o"]
