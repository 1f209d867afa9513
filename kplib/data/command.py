"""The command ``kplib data``: what there is, where it is, and getting it.

Each function prints as it goes, and returns whether all is well.
"""

from collections.abc import Sequence

from kplib.data import DATA_SETS, files
from kplib.data.files import File, Source
from kplib.errors import DataError


def list_sets() -> bool:
    """Print the data sets: their files, where they are, licence and citation. Nothing is read."""
    for source in DATA_SETS.values():
        print(f"{source.name}: {source.title} ({source.complete})")
        print(f"  licence: {source.licence}")
        print(f"  cite: {source.citation}")
        for edition, wanted in source.editions.items():
            print(f"  {edition}")
            for file in wanted:
                size = f"{file.size:,} bytes" if file.size else "size not published"
                print(f"    {file.name}, {size}: {files.find(source, file) or 'not here'}")
                for url in file.urls:
                    print(f"      {url}")
    return True


def fetch(names: Sequence[str] | None = None, edition: str | None = None) -> bool:
    """Download what is not here to the cache folder, check what is, and print the paths."""
    failed = False
    for name in _chosen(names, edition):
        source = DATA_SETS[name]
        for file in source.edition(edition):
            try:
                print(f"{source.name}: {file.name}: {files.locate(source, file)}")
            except DataError as error:
                failed = True
                print(f"{source.name}: {error}")
    return not failed


def verify(names: Sequence[str] | None = None, edition: str | None = None) -> bool:
    """Compare the files that are here with the published sizes and hashes.

    Returns
    -------
    bool
        False if a file is wrong, or if a data set has no edition that is whole.
    """
    failed = False
    for name in _chosen(names, edition):
        source = DATA_SETS[name]
        editions = [source.edition(edition)] if edition else list(source.editions.values())
        results = [[_verified(source, file) for file in wanted] for wanted in editions]
        for message in dict.fromkeys(message for found in results for _, message in found):
            print(f"{name}: {message}")
        wrong = any(state == "wrong" for found in results for state, _ in found)
        whole = any(all(state == "good" for state, _ in found) for found in results)
        failed |= wrong or not whole
    return not failed


def _verified(source: Source, file: File) -> tuple[str, str]:
    """Return "good", "wrong" or "missing", and a line that says so."""
    path = files.find(source, file)
    if path is None:
        return "missing", f"{file.name}: not here"
    try:
        files.check(path, file)
    except DataError as error:
        return "wrong", f"WRONG: {error}"
    compared = [file.hash.partition(":")[0]] if file.hash else []
    compared += ["size"] if file.size else []
    how = f"{' and '.join(compared)} as they should be" if compared else "no hash is published"
    return "good", f"{file.name}: {how}: {path}"


def _chosen(names: Sequence[str] | None, edition: str | None) -> list[str]:
    unknown = set(names or ()) - set(DATA_SETS)
    if unknown:
        raise DataError(f"there is no data set {min(unknown)!r}, but {', '.join(DATA_SETS)}")
    if edition and len(names or ()) != 1:
        raise DataError("--edition needs the name of one data set")
    return list(names or DATA_SETS)
