"""Words that say where, for whom and when the rows of a table hold: countries, places that people go to, groups, seasons."""

from __future__ import annotations

from engine.faq.words import word_set

COUNTRIES = frozenset(
    name.replace("_", " ")
    for name in word_set(
        "argentina australia austria bahrain belgium brazil bulgaria cambodia canada chile china colombia croatia cyprus "
        "czechia czech_republic denmark egypt england estonia ethiopia finland france germany ghana greece hong_kong "
        "hungary iceland india indonesia iraq ireland israel italy jamaica japan kenya kuwait latvia lebanon "
        "liechtenstein lithuania luxembourg malaysia malta mexico morocco nepal netherlands new_zealand nigeria norway "
        "oman pakistan peru philippines poland portugal qatar romania saudi_arabia scotland serbia singapore slovakia "
        "slovenia south_africa south_korea spain sri_lanka sweden switzerland taiwan tanzania thailand tunisia turkey "
        "uganda ukraine united_arab_emirates united_kingdom united_states uruguay usa uk uae eu us vietnam wales "
        "european_union africa asia europe north_america south_america"
    )
)
"""Also regions as large as that."""

VENUES = word_set(
    "office branch shop store hotel restaurant museum library pool hall clinic hospital school campus station airport depot "
    "warehouse showroom reception theatre theater gym café cafe sauna spa bar canteen kiosk desk pharmacy gallery zoo garden "
    "centre center studio workshop garage rink playground cafeteria"
)
"""Places with opening hours: "the Lisbon office"."""

GROUPS = word_set(
    "customers clients users owners tenants employees members non-members businesses companies individuals residents visitors "
    "adults children students seniors pensioners families guests groups pupils schools teenagers beginners professionals"
)

SEASONS = {
    **{season: f"in {season}" for season in ("summer", "winter", "spring", "autumn")},
    **{f"{season} season": f"in the {season} season" for season in ("summer", "winter", "high", "low", "peak", "off", "main")},
    "weekdays": "on weekdays",
    "weekends": "at weekends",
}

VARIANTS = word_set(
    "standard express economy basic premium deluxe regular single double twin triple family superior comfort classic business "
    "starter plus pro professional enterprise team overnight next-day same-day priority student senior adult child early-bird "
    "small medium large mini junior executive gold silver bronze platinum"
)
"""Names of one thing of a kind: "Standard" below "Delivery costs" is standard delivery."""
