"""The command line: what is asked for, and one line for whatever goes wrong."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version

from ._console import INTERRUPTED, WRONG, CommandError, say, short_warnings

_DESCRIPTION = """\
Tell where photographs were taken, from their pixels alone.

  skgeo fit PHOTOS -o MODEL         learn from photos whose positions are known
  skgeo locate MODEL PHOTO...       estimate where other photos were taken
  skgeo evaluate MODEL PHOTOS       compare estimates with known positions
  skgeo info MODEL                  say what a model is made of
"""

_EPILOG = """\
PHOTOS is a folder of photos with EXIF positions, a folder with a table metadata.csv, or a CSV file
with columns such as filename,lat,lon. Originals are never modified.

Exit codes: 0 done; 1 done, but some photos could not be used (they are listed); 2 nothing done, and
the message says why; 130 interrupted.
"""


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="skgeo", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=plain
    )
    parser.add_argument("--version", action="version", version=f"skgeo {version('skgeo')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    common.add_argument("-v", "--verbose", action="store_true", help="list every problem")
    common.add_argument("-j", "--jobs", type=int, default=-1, metavar="N", help="processes (all)")
    common.add_argument("--debug", action="store_true", help="show where in the code it went wrong")

    trust = argparse.ArgumentParser(add_help=False)
    trust.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="TYPE",
        help="accept a type of another library in the model; see skgeo info",
    )

    source = argparse.ArgumentParser(add_help=False)
    source.add_argument("photos", metavar="PHOTOS", help="a folder or a CSV file")
    source.add_argument(
        "--positions",
        choices=["auto", "exif", "table"],
        default="auto",
        help="where positions come from (auto: metadata.csv if there is one, else EXIF)",
    )

    fit = commands.add_parser("fit", parents=[source, common], help="learn from geotagged photos")
    fit.add_argument("-o", "--output", required=True, metavar="MODEL", help="the model to write")
    fit.add_argument(
        "--features",
        choices=["low-level", "cnn"],
        default="low-level",
        help="what is seen in a photo: colours, textures, lines, layout; or a pre-trained network",
    )
    fit.add_argument(
        "--embedding",
        choices=["linear", "dgae", "none"],
        default="linear",
        help="how places are told apart (linear)",
    )
    fit.add_argument(
        "--mode",
        choices=["1-nn", "mean-shift"],
        default="1-nn",
        help="how neighbours become a place: the nearest, or a vote (1-nn)",
    )
    fit.add_argument("--poi-km", type=float, metavar="KM", help="radius of a place (by extent)")
    fit.add_argument(
        "--calibrate",
        action="store_true",
        help="keep a fifth of the places out of the gallery to learn how far estimates go wrong; "
        "locate then gives radii",
    )
    fit.add_argument("--seed", type=int, default=0, help="of all that is drawn at random (0)")
    fit.add_argument("--description", default="", help="text that is kept in the model")
    fit.add_argument("--force", action="store_true", help="replace a model of this name")

    locate = commands.add_parser(
        "locate", parents=[trust, common], help="estimate where photos were taken"
    )
    locate.add_argument("model", metavar="MODEL")
    locate.add_argument("photos", metavar="PHOTO", nargs="+", help="photos, or folders of photos")
    form = locate.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write JSON")
    form.add_argument("--csv", action="store_true", help="write a table")
    form.add_argument("--gpx", action="store_true", help="write waypoints for maps and devices")
    locate.add_argument("-o", "--output", metavar="FILE", help="write to a new file")
    locate.add_argument("-k", type=int, default=3, metavar="N", help="similar photos to name (3)")
    locate.add_argument(
        "--confidence",
        type=float,
        default=0.9,
        metavar="P",
        help="probability that the place is within the radius, for calibrated models (0.9)",
    )
    locate.add_argument(
        "--write-exif",
        metavar="FOLDER",
        help="put copies with the position in their EXIF tags into a folder (JPEG, PNG)",
    )
    locate.add_argument(
        "--replace",
        action="store_true",
        help="with --write-exif: also photos that have a position already",
    )

    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("model", metavar="MODEL")
    evaluate = commands.add_parser(
        "evaluate",
        parents=[first, source, trust, common],
        help="compare estimates with known positions",
    )
    evaluate.add_argument("--thresholds", type=float, nargs="+", metavar="KM", help="radii in km")
    form = evaluate.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write JSON")
    form.add_argument("--csv", action="store_true", help="write a table")
    evaluate.add_argument("--plot", metavar="FILE", help="draw the map and the error curve")

    evaluate.add_argument("--map", metavar="FILE", help="write an interactive map, one HTML file")

    info = commands.add_parser("info", parents=[common], help="say what a model is made of")
    info.add_argument("model", metavar="MODEL")
    info.add_argument("--json", action="store_true", help="write JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None takes those of the process.

    Returns
    -------
    int
        The exit code, see `_console`.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help(sys.stderr)
        return WRONG
    try:
        with short_warnings():
            return _run(options)
    except KeyboardInterrupt as interruption:
        say(f"\nskgeo: interrupted. {interruption}".rstrip())
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; Python must not complain when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG
    except (CommandError, ImportError, OSError, ValueError, FloatingPointError) as error:
        if options.debug:
            traceback.print_exc()
        say(f"skgeo: error: {error}")
        return WRONG


def _run(options: argparse.Namespace) -> int:
    # Each command loads what it needs: asking for help loads nothing.
    if options.command == "fit":
        from ._fit import fit

        return fit(options)
    if options.command == "locate":
        from ._locate import locate

        return locate(options)
    if options.command == "evaluate":
        from ._evaluate import evaluate

        return evaluate(options)
    from ._info import info

    return info(options)
