"""The `backcast` command.

Exit status 0; 1 for a run that failed or was stopped at a step; 2 for input or options that do not fit, with one line
that says what, where and what to do; 130 for Ctrl-C anywhere else. Nothing heavy is imported before it is needed, so
`--help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

from backcast import process
from backcast.arguments import one_of, whole
from backcast.benchmark.options import add_options, run_benchmark
from backcast.config import DATA_OPTIONS, FIELDS, Config, flag, read_yaml, resolve
from backcast.data_commands import add_cache_options, add_data_options, add_inspect_options, cache, inspect
from backcast.errors import InputError, RunError, nearest, plural, require_place
from backcast.files import STANDARD_OUTPUT, write_json
from backcast.ls_command import LISTS, add_ls_options, ls, print_table
from backcast.paper.command import run_reproduce
from backcast.paper.options import add_options as add_reproduce_options
from backcast.presets import PRESETS
from backcast.report_command import add_report_options, report
from backcast.stream_command import add_stream_commands

EPILOG = """examples:
  backcast demo                                    see in minutes, on a CPU, what the method is for
  backcast inspect data.npz                        what is in it, and settings to begin with
  backcast train mnist --preset paper/mnist        the paper's settings
  backcast train data.npz --out runs/mine          arrays of your own: x (n, T) or (n, T, C), y (n,)
  backcast evaluate runs/mine data.npz
  backcast predict runs/mine new.npz --out p.csv
"""


_format_warning = warnings.formatwarning
NOT_AGAIN = ("kind", "permutation_seed")  # a trained model has its own
OUT_OF_MEMORY = ("out of memory", "can't allocate memory")


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, with the nearest name."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        unknown = [word for word in rest if word.startswith("-")]
        if unknown:
            name = unknown[0].split("=")[0]
            raise InputError(
                f"unknown option {name}{nearest(name, self._option_string_actions)} (see {self.prog} --help)"
            )
        return found, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Called by argparse for the name of a command."""
        if action.choices is not None and value not in action.choices:
            raise InputError(
                f"{action.metavar} {value}: is not one of {', '.join(action.choices)}{nearest(value, action.choices)} "
                f"(see {self.prog} --help)"
            )


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit status. Without `argv`, the process is taken to be the command's own."""
    try:
        try:
            arguments = make_parser().parse_args(argv)
            arguments.own_process = argv is None
            status: int = arguments.run(arguments)
            return status
        finally:
            sys.stdout.flush()  # a closed pipe must show here, not when Python exits
    except InputError as error:
        return _complain(error, 2)
    except RunError as error:
        return _complain(error, 1)
    except BrokenPipeError:
        # Whoever read our output has stopped; leave nothing to flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(word in str(error) for word in OUT_OF_MEMORY):
            raise
        return _complain("out of memory; a smaller --batch-size, --truncation or --hidden-size needs less", 1)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)


def _complain(error: object, status: int) -> int:
    print(f"backcast: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="backcast",
        description="Recurrent networks that learn from very long sequences, in memory that does not grow with the length.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"backcast {version('backcast')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        added.set_defaults(run=run)
        return added

    demo = command("demo", _demo, "digits, then silence: six methods side by side, and a report")
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("demo"),
        help="folder for runs, summary.json, report.html and interactive.html (default: demo)",
    )
    demo.add_argument("--seed", default=0, type=whole(0), help="of everything random (default: 0)")
    demo.add_argument("--methods", help="only these, separated by commas; see `backcast ls demo`")
    demo.add_argument(
        "--scale", type=float, default=1.0, help="share of the epochs to train, for a quick look (default: 1)"
    )
    demo.add_argument("--resume", action="store_true", help="continue a demo that was stopped")
    demo.add_argument("--overwrite", action="store_true", help="replace a demo that is there")

    train = command("train", _train, "train on DATA")
    train.add_argument("data", nargs="?", metavar="DATA", help=FIELDS["data"].metadata["help"])
    train.add_argument("--preset", help="named settings; see `backcast ls presets`")
    train.add_argument("--config", type=Path, help="settings from a YAML file; flags override it")
    train.add_argument("--out", type=Path, help="folder of the run (default: runs/DATA-METHOD-SEED)")
    train.add_argument("--resume", action="store_true", help="continue the run in --out")
    train.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    _add_settings(train)

    evaluate = command("evaluate", _evaluate, "accuracy of the model in RUN on DATA")
    _add_run_and_data(evaluate)
    evaluate.add_argument(
        "--json", type=Path, metavar="FILE", help="write the result as JSON, too; -: to standard output"
    )

    predict = command("predict", _predict, "class and probabilities for every row of DATA")
    _add_run_and_data(predict)
    predict.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=".csv, .parquet or .jsonl; -: CSV to standard output",
    )

    add_stream_commands(command, _prepare_process, _say)
    about = "a table or figure of the paper: what is missing is run, ours beside the paper's"
    add_reproduce_options(command("reproduce", _reproduce, about))

    about = "one HTML file about one or more runs: results, curves, what the networks remember"
    add_report_options(command("report", _report, about))

    about = "what is in DATA, settings to begin with, and what a training step takes"
    add_inspect_options(command("inspect", _inspect, about))
    add_cache_options(command("cache", cache, "list imported data, or delete them"))
    add_options(command("benchmark", run_benchmark, "seconds and memory on this machine, beside plain torch"))

    add_ls_options(command("ls", ls, f"what there is: {', '.join(LISTS)}"))
    command("doctor", _doctor, "what backcast uses on this machine, and why")
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """A flag for every setting but DATA. No defaults here, so that a given flag can be told from one that is not."""
    titles = dict.fromkeys(field.metadata["group"] for field in FIELDS.values())
    groups = {title: parser.add_argument_group(title) for title in titles}
    for name, field in FIELDS.items():
        rules = field.metadata
        if name == "data":
            continue
        shown = "none" if field.default is None or field.default == () else field.default
        shown = str(shown).lower() if rules["kind"] is bool else shown
        text = f"{rules['help']} (default: {shown})"
        add = groups[rules["group"]].add_argument
        if rules["kind"] is bool:
            add(flag(name), dest=name, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            metavar = "{" + ",".join(rules["choices"]) + "}" if rules["choices"] else None
            add(flag(name), dest=name, default=None, help=text, metavar=metavar)


def _add_run_and_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("data", metavar="DATA", help=FIELDS["data"].metadata["help"])
    parser.add_argument(
        "--split",
        type=one_of("train", "validation", "test", "all"),
        metavar="{train,validation,test,all}",
        help="default: the test split where there is one, else all rows",
    )
    add_data_options(
        parser, [name for name in DATA_OPTIONS if name not in NOT_AGAIN], " (default: as in training)"
    )
    parser.add_argument("--device", default="auto", help=FIELDS["device"].metadata["help"])
    parser.add_argument("--batch-size", default=256, type=whole(1), help="rows at a time (default: 256)")


def _prepare_process(arguments: argparse.Namespace) -> None:
    """To be called before torch is imported: settings of the whole process, if it is ours and not that of a caller of `main`."""
    if not arguments.own_process:
        return
    process.prepare()
    from backcast.kernel import KernelWarning

    def format_warning(message: Warning | str, category: type[Warning], *place: Any) -> str:
        return (
            f"backcast: {message}\n"
            if category is KernelWarning
            else _format_warning(message, category, *place)
        )

    warnings.formatwarning = format_warning  # type: ignore[assignment]


def _config(arguments: argparse.Namespace) -> Config:
    given = {name: value for name in FIELDS if (value := getattr(arguments, name, None)) is not None}
    layers: list[dict[str, Any]] = []
    begun = arguments.resume and arguments.out is not None and (arguments.out / "config.yaml").exists()
    if begun:
        layers.append(read_yaml(arguments.out / "config.yaml"))
    if arguments.preset is not None:
        if arguments.preset not in PRESETS:
            raise InputError(
                f"--preset {arguments.preset}: there is no such preset{nearest(arguments.preset, PRESETS)}"
            )
        layers.append(PRESETS[arguments.preset])
    if arguments.config is not None:
        layers.append(read_yaml(arguments.config))
    config = resolve([*layers, given])
    if arguments.resume and not begun and config.data is None:
        raise InputError("--resume needs --out RUN, the folder of a run that was begun")
    return config


def _train(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    if arguments.resume and arguments.overwrite:
        raise InputError("--resume and --overwrite exclude each other")
    _prepare_process(arguments)
    from backcast.progress import TrainingProgress
    from backcast.run import train
    from backcast.trainer import Interrupted

    out = arguments.out or Path("runs") / f"{Path(config.data or 'data').stem}-{config.method}-{config.seed}"
    stop = _stop_on_signals()
    try:
        with TrainingProgress(config.method) as progress:
            train(
                config, out, resume=arguments.resume, overwrite=arguments.overwrite, say=_say,
                on_total=progress.total, on_advance=progress.advance, stop=stop,
            )  # fmt: skip
    except Interrupted:
        raise RunError(f"stopped; go on with: backcast train --resume --out {quote(str(out))}") from None
    _say_result(out, config)
    return 0


def _say_result(out: Path, config: Config) -> None:
    from backcast.history import kept_epoch, read_metrics
    from backcast.run import read_environment

    epochs = read_metrics(out / "metrics.jsonl")
    if (best := kept_epoch(epochs, config.class_weights)) is not None:
        balanced = ""
        if config.class_weights == "balanced":
            balanced = f", balanced {best['validation_balanced_accuracy']:.4f}"
        print(
            f"validation accuracy {best['validation_accuracy']:.4f}{balanced} "
            f"(epoch {best['epoch']} of {epochs[-1]['epoch']})"
        )
    elif "accuracy" in epochs[-1]:
        print(f"training accuracy {epochs[-1]['accuracy']:.4f} (last epoch; no rows were held out)")
    has_test = read_environment(out).get("rows", {}).get("test")
    tested = quote(str(config.data)) if has_test else "ROWS-IT-HAS-NOT-SEEN"
    run = quote(str(out))
    following = f"backcast evaluate {run} {tested}" if config.epochs else f"backcast train DATA --from {run}"
    print(f"model in {out / 'model'}; next: {following}, backcast report {run}")


def _stop_on_signals() -> Callable[[], bool]:
    """Ctrl-C and SIGTERM end the run at its next step, with a checkpoint; a second one ends it at once."""
    asked: list[int] = []

    def note(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        _say("stopping at the next step (once more to stop at once)")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return lambda: bool(asked)


def _load_for(arguments: argparse.Namespace, labels: bool) -> tuple[Any, Any, str]:
    """The model, the rows of the wanted split, and the split's name."""
    _prepare_process(arguments)
    from backcast.build import load_model
    from backcast.evaluation import rows_for

    model = load_model(arguments.source, arguments.device)
    given = {name: value for name in DATA_OPTIONS if (value := getattr(arguments, name, None)) is not None}
    return model, *rows_for(model, arguments.data, arguments.split, given, _say, labels)


def _evaluate(arguments: argparse.Namespace) -> int:
    if arguments.json not in (None, STANDARD_OUTPUT):
        require_place(arguments.json, f"--json {arguments.json}")
    model, rows, split = _load_for(arguments, labels=True)
    from backcast.data.sources import identity  # after the process is prepared: it imports torch

    if split in ("train", "all") and identity(arguments.data) == identity(model.config.data):
        _say(
            f"{arguments.data}: the network was trained on these rows, or on some of them; only new rows show how good it is"
        )
    found = model.evaluate(rows, arguments.batch_size)
    line = (
        f"accuracy {found.accuracy:.4f} ({found.correct} of {found.count} {plural(found.count, 'row')}, {arguments.data}, {split}), "
        f"balanced {found.balanced_accuracy:.4f}, macro-F1 {found.macro_f1:.4f}, loss {found.loss:.4f}"
    )
    if arguments.json is None:
        print(line)
        return 0
    result = {
        **found.to_json(), "classes": model.classes,
        "data": arguments.data, "split": split, "run": str(arguments.source),
    }  # fmt: skip
    if arguments.json == STANDARD_OUTPUT:
        _say(line)
        print(json.dumps(result, indent=1, default=str))
        return 0
    try:
        write_json(arguments.json, result)
    except OSError as error:
        raise InputError(f"--json {arguments.json}: cannot be written: {error.strerror}") from None
    print(line)
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from backcast.predictions import check_target, write_predictions

    check_target(arguments.out)
    model, rows, split = _load_for(arguments, labels=False)
    write_predictions(arguments.out, rows.ids, model.classes, model.predict_proba(rows, arguments.batch_size))
    line = f"{len(rows)} {plural(len(rows), 'row')} ({arguments.data}, {split})"
    if arguments.out == STANDARD_OUTPUT:
        _say(line)
    else:
        print(f"{line} in {arguments.out}")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    _prepare_process(arguments)
    return report(arguments, _say)


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.resume and arguments.overwrite:
        raise InputError("--resume and --overwrite exclude each other")
    _prepare_process(arguments)
    from backcast.demo import run_demo
    from backcast.trainer import Interrupted

    try:
        run_demo(
            arguments.out, seed=arguments.seed, methods=arguments.methods, scale=arguments.scale,
            resume=arguments.resume, overwrite=arguments.overwrite, stop=_stop_on_signals(),
        )  # fmt: skip
    except Interrupted:
        raise RunError(
            f"stopped; go on with: backcast demo --resume --out {quote(str(arguments.out))}"
        ) from None
    return 0


def _reproduce(arguments: argparse.Namespace) -> int:
    if arguments.resume and arguments.render:
        raise InputError("--resume and --render exclude each other")
    _prepare_process(arguments)
    return run_reproduce(arguments, _stop_on_signals(), _say)


def _inspect(arguments: argparse.Namespace) -> int:
    _prepare_process(arguments)
    return inspect(arguments, _say)


def _doctor(arguments: argparse.Namespace) -> int:
    _prepare_process(arguments)
    from backcast.doctor import lines

    print_table(lines())
    return 0


def _say(line: str) -> None:
    print(f"backcast: {line}", file=sys.stderr)
