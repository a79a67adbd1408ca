"""Which currencies does a text name? Codes, signs and names: the one list of them that the whole project goes by.

A price in another currency than the dollar is never taken for one, so what might be a currency counts as one.
"""

import re

# ISO 4217: every code that is in use, the offshore yuan, the kuna, and the metals that prices are quoted in.
CODES = frozenset(
    re.findall(
        r"[a-z]{3}",
        """
        aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf
        clp cnh cny cop crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gnf gtq gyd hkd hnl
        hrk htg huf idr ils inr iqd irr isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd kzt lak lbp lkr lrd lsl lyd mad
        mdl mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar
        ron rsd rub rwf sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc syp szl thb tjs tmt tnd top try ttd twd tzs
        uah ugx usd uyu uzs ves vnd vuv wst xaf xag xau xcd xof xpf yer zar zmw zwg
        """,
    )
)
# Those of which nobody takes the code for that of a coin, or for a word.
MAJOR = frozenset({
    "usd", "eur", "gbp", "jpy", "cny", "chf", "krw", "inr", "aud", "cad", "brl", "nzd", "sgd", "hkd", "twd", "pln",
    "czk", "huf", "sek", "nok", "dkk", "rub", "uah", "try", "zar", "ngn", "aed", "ils", "thb", "idr", "myr", "vnd",
    "php", "pkr", "mxn", "clp", "ars", "cop",
})  # fmt: skip
# Tokens that follow the dollar without being one.
STABLE = frozenset({
    "usdt", "usdc", "busd", "tusd", "fdusd", "dai", "ust", "usdp", "usde", "gusd", "pyusd", "usdd",
})  # fmt: skip
# What stands beside a number: the signs, and the letters in front of a dollar that is not the American one.
SIGNS = {
    "$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "￥": "jpy", "₩": "krw", "₹": "inr", "₨": "inr", "₽": "rub",
    "₿": "btc", "₺": "try", "₴": "uah", "₫": "vnd", "฿": "thb", "₪": "ils", "₦": "ngn", "₱": "php", "₡": "crc",
    "₲": "pyg", "₵": "ghs", "₸": "kzt", "₼": "azn", "₾": "gel", "₭": "lak", "₮": "mnt", "﷼": "irr",
}  # fmt: skip
_DOLLARS = {
    "": "usd", "US": "usd", "A": "aud", "AU": "aud", "C": "cad", "CA": "cad", "R": "brl", "HK": "hkd", "NZ": "nzd",
    "S": "sgd", "NT": "twd", "MX": "mxn",
}  # fmt: skip
# That of any other dollar.
_OTHER_DOLLAR = "peso"
# Codes that are words as well: in small letters they are currencies only as the end of a name such as price_try.
_WORDS = frozenset({
    "all", "ang", "bam", "bob", "cop", "cup", "gel", "lak", "mad", "mop", "nad", "pen", "php", "ron", "rub", "sar",
    "sos", "top", "try",
})  # fmt: skip
# Names in several languages; those of more than one currency stand for themselves.
_NAMES = {
    "dollar": "usd", "dollars": "usd", "dolar": "usd", "dolares": "usd", "euro": "eur", "euros": "eur", "pound": "gbp",
    "pounds": "gbp", "pfund": "gbp", "sterling": "gbp", "yen": "jpy", "yuan": "cny", "renminbi": "cny", "rmb": "cny",
    "franken": "chf", "rupee": "inr", "rupees": "inr", "rupien": "inr", "ruble": "rub", "rubles": "rub",
    "rouble": "rub", "roubles": "rub", "rubel": "rub", "reais": "brl", "zloty": "pln", "złoty": "pln", "zł": "pln",
    "kč": "czk", "forint": "huf", "lira": "try", "hryvnia": "uah", "shekel": "ils", "baht": "thb", "peso": "peso",
    "pesos": "peso", "kr": "krone", "krone": "krone", "kronen": "krone", "kroner": "krone", "krona": "krone",
    "kronor": "krone", "canadian": "cad", "kanadische": "cad", "australian": "aud", "australische": "aud",
    "singapore": "sgd", "zealand": "nzd",
}  # fmt: skip
_SIGN = re.compile(rf"(?<![A-Za-z])(?P<before>[A-Z]{{1,3}})\$|\$(?:US\b)?|[{''.join(SIGNS).replace('$', '')}]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[^\W\d_]+")


def named(text: str) -> tuple[str, ...]:
    """Every currency that a text names, in its order: `Preis in Euro`, `price_eur`, `A$5`, `closeGBP`."""
    words = spelled(text)
    found = (code(match[0], ends_name=words[: match.start()].endswith("_") and match.end() == len(words))
             for match in _WORD.finditer(words))  # fmt: skip
    return tuple(dict.fromkeys(filter(None, found)))


def foreign(text: str) -> tuple[str, ...]:
    """The same but for the dollar, with the tokens that follow it: `price_usdt`; by itself such a word is a coin's."""
    words = spelled(text).casefold().replace("_", " ").split()
    return (*(each for each in named(text) if each != "usd"), *(STABLE.intersection(words) if len(words) > 1 else ()))


def code(word: str, *, ends_name: bool = False) -> str:
    """The currency that one word names, '' for none."""
    plain = word.casefold()
    if plain in CODES:
        return plain if word.isupper() or ends_name or plain not in _WORDS else ""
    return _NAMES.get(plain, "")


def spelled(text: str) -> str:
    """The text with codes instead of signs, and with space between the words of a name such as priceUsd."""
    return _CAMEL.sub(" ", _SIGN.sub(_spell, text))


def _spell(sign: re.Match[str]) -> str:
    before = sign["before"]
    known = SIGNS[sign[0][0]] if before is None else _DOLLARS.get(before, _OTHER_DOLLAR)
    return f" {known.upper()} "
