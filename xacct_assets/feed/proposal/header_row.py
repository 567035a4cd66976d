"""Whether the first record names the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xacct_assets.feed.proposal import moments, numbers
from xacct_assets.feed.proposal.decisions import Decisions, quoted
from xacct_assets.feed.proposal.names import clean_name
from xacct_assets.feed.proposal.records import Record

#: Words of headers in several languages, as `clean_name` writes them.
_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        id no nr num number name title description desc date time day month year price
        cost amount qty quantity stock sku ean gtin upc code type status category brand
        vendor color colour size weight unit currency email mail phone address street city
        zip postcode country state region url link image tags handle key value total sum
        count note notes comment created updated first last customer order item product
        supplier store shop active gender birth age lat lon latitude longitude rate nummer
        bezeichnung beschreibung datum preis menge bestand artikel marke farbe groesse
        gewicht einheit waehrung wahrung strasse stadt ort plz land kunde vorname nachname
        grosse nom prenom prix quantite libelle reference ref ville pays adresse
        code_postal marque couleur taille nombre precio cantidad fecha descripcion codigo
        ciudad pais direccion marca talla nome preco prezzo quantita quantidade descricao
        descrizione codice cidade citta naam prijs aantal omschrijving artikelnummer
        plaats navn pris antal antall beskrivelse varenummer namn beskrivning nazwa cena
        ilosc kod opis data waluta miasto kraj imie nazwisko nazev mnozstvi popis ad fiyat
        adet tarih aciklama urun
        """,
    )
)
_CLEAN = re.compile(r"[^\W\d][^\n]{0,79}")


def has_header_row(
    firsts: Sequence[Record], bodies: Sequence[Sequence[Record]], decisions: Decisions
) -> bool:
    """Whether the first record of each sample names the columns.

    Args:
        firsts: the first record of each sample.
        bodies: the other records of each sample.
    """
    if "header" in decisions.answers:
        return decisions.answers["header"] == "yes"
    first = [value or "" for value in firsts[0]]
    body = [row for rows in bodies for row in rows]
    if len(firsts) > 1 and all(one == firsts[0] for one in firsts) and _could_name(first):
        return True
    against = [value for value in first if _is_typed(value)]
    rises = _columns_that_change(first, body)
    words = sum(_is_known(value) for value in first)
    if not against and _could_name(first):
        # An empty field is no name, and names differ: else words must tell.
        is_sound = all(value.strip() for value in first) and len(set(first)) == len(first)
        if 2 * words >= len(first) or (rises and is_sound):
            return True
    if against and not words and not rises:
        return False
    return (
        decisions.ask(
            "header",
            f"Does the first row name the columns ({', '.join(quoted(v, 20) for v in first[:6])})?",
            {"yes": "these are names", "no": "it is a row like the others"},
            likely=None,
        )
        == "yes"
    )


def _is_typed(value: str) -> bool:
    text = value.strip()
    return bool(text) and bool(numbers.readings([text]) or moments.readings([text]))


def _columns_that_change(first: Sequence[str], body: Sequence[Record]) -> int:
    """Columns whose values are numbers or dates while their first field is a text."""
    count = 0
    rows = [row for row in body if len(row) == len(first) and row != first]
    for at, name in enumerate(first):
        values = [row[at] for row in rows if row[at]]
        if name and not _is_typed(name) and values and all(_is_typed(v or "") for v in values):
            count += 1
    return count


def _is_known(value: str) -> bool:
    return any(word in _WORDS for word in (clean_name(value), *clean_name(value).split("_")))


def _could_name(first: Sequence[str]) -> bool:
    names = [value.strip() for value in first if value.strip()]
    return bool(names) and all(_CLEAN.fullmatch(name) for name in names)
