"""One `open_recording` over every format; EDF and BDF are known by content, the rest by suffix."""

from __future__ import annotations

from pathlib import Path

from recordings.beat_reader import BeatRecording, has_intervals
from recordings.edf import EdfRecording
from recordings.edf.header import read_header
from recordings.recording import Recording, RecordingError

READ_HERE = (
    "EDF, BDF, WFDB (.hea), HDF5 (.h5), FIF, BrainVision (.vhdr), EEGLAB (.set), tables of beats"
)
_EDF_SUFFIXES = (".edf", ".bdf", ".rec")  # ISRUC and SVUH call their EDF files .rec
_HDF5_SUFFIXES = (".h5", ".hdf5")
_MNE_SUFFIXES = (".fif", ".fif.gz", ".vhdr", ".set")
_TABLE_SUFFIXES = (".csv", ".csv.gz")  # of beat intervals; other tables are no recordings
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_EDF_MAGIC = (b"0       ", b"\xffBIOSEMI")
_HEADER_OF = {".dat": ".hea", ".mat": ".hea", ".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set"}


def open_recording(path: Path | str) -> Recording:
    """Open a recording of any format.

    Parameters
    ----------
    path : Path or str
        An EDF, BDF or HDF5 file, or the header file of a format that has one. The signal file of
        such a format (`.mat` and `.dat` of WFDB, `.eeg`, `.fdt`) opens the header beside it.

    Returns
    -------
    Recording
        Labels, exact rates, units, start, annotations, and `read` for the samples of a channel.

    Raises
    ------
    RecordingError
        If there is no such file, its format is not read here, or its reader refuses it.
    """
    path = Path(path)
    if not path.is_file():
        raise RecordingError(f"{path.name}: no such file; check the path")
    suffix, magic = _suffix(path), _first_bytes(path)
    if magic in _EDF_MAGIC or suffix in _EDF_SUFFIXES:
        return EdfRecording(path)
    header = path.with_suffix(_HEADER_OF.get(suffix, suffix))
    if header != path and header.is_file():
        return open_recording(header)
    if suffix == ".hea":
        from recordings.wfdb_reader import WfdbRecording

        return WfdbRecording(path)
    if suffix in _HDF5_SUFFIXES:
        from recordings.hdf5_reader import Hdf5Recording

        return Hdf5Recording(path)
    if suffix in _MNE_SUFFIXES:
        from recordings.mne_reader import MneRecording

        return MneRecording(path)
    if suffix in _TABLE_SUFFIXES and has_intervals(path):
        return BeatRecording(path)
    if suffix in _HEADER_OF:
        reason = f"the header {header.name} is not beside it"
        raise RecordingError(f"{path.name}: {reason}; labels, rates and gains stand there")
    raise RecordingError(f"{path.name}: none of {READ_HERE}; convert it to EDF")


def is_recording(path: Path | str) -> bool:
    """Whether a file is a recording to stage; cheap, for a walk over folders.

    True for a damaged recording too (opening it says why), False for a file of annotations alone
    and for the signal file beside a header: the header stands for both.
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        return False
    if suffix in _EDF_SUFFIXES:
        return _has_signals(path)
    if suffix == ".hea":
        return any(path.with_suffix(s).is_file() for s in (".dat", ".mat"))
    if suffix in _HDF5_SUFFIXES:
        return _first_bytes(path) == _HDF5_MAGIC
    if suffix in _TABLE_SUFFIXES:
        return has_intervals(path)
    return suffix in _MNE_SUFFIXES


def _suffix(path: Path) -> str:
    """Return the suffix in small letters, `.fif.gz` whole."""
    return "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else [path.suffix]).lower()


def _first_bytes(path: Path) -> bytes:
    """Return the eight bytes in which formats name themselves."""
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise RecordingError(f"{path.name}: cannot be opened: {error.strerror}") from None


def _has_signals(path: Path) -> bool:
    """Whether an EDF file holds more than annotations; True if its header is unreadable."""
    try:
        return any(not signal.is_annotation for signal in read_header(path).signals)
    except RecordingError:
        return True
