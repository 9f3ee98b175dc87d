"""The numbers that languages other than English write in words, as far as they are met in everyday texts."""

from __future__ import annotations

_UNITS = {
    "de": "zwei/zwo drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn "
    "neunzehn",
    "fr": "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf",
    "es": "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete dieciocho "
    "diecinueve",
    "it": "due tre/tré quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici diciassette "
    "diciotto diciannove",
    "pt": "dois/duas três quatro cinco seis sete oito nove dez onze doze treze catorze/quatorze quinze dezesseis/dezasseis "
    "dezessete/dezassete dezoito dezenove/dezanove",
    "nl": "twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien zeventien achttien "
    "negentien",
    "sv": "två/tvenne tre fyra fem sex sju åtta nio tio elva tolv tretton fjorton femton sexton sjutton arton nitton",
    "da": "to tre fire fem seks syv otte ni ti elleve tolv tretten fjorten femten seksten sytten atten nitten",
    "no": "to tre fire fem seks sju/syv åtte ni ti elleve tolv tretten fjorten femten seksten sytten atten nitten",
    "fi": "kaksi/kahden/kahta/kahdessa/kahteen kolme/kolmen/kolmea/kolmessa/kolmeen neljä/neljän/neljää viisi/viiden/viittä "
    "kuusi/kuuden/kuutta seitsemän/seitsemää kahdeksan/kahdeksaa yhdeksän/yhdeksää kymmenen/kymmentä yksitoista kaksitoista "
    "kolmetoista neljätoista viisitoista kuusitoista seitsemäntoista kahdeksantoista yhdeksäntoista",
    "pl": "dwa/dwie/dwóch/dwaj/dwoma/dwiema/dwu trzy/trzech/trzem/trzema cztery/czterech/czterem pięć/pięciu sześć/sześciu "
    "siedem/siedmiu osiem/ośmiu dziewięć/dziewięciu dziesięć/dziesięciu jedenaście/jedenastu dwanaście/dwunastu "
    "trzynaście/trzynastu czternaście/czternastu piętnaście/piętnastu szesnaście/szesnastu siedemnaście/siedemnastu "
    "osiemnaście/osiemnastu dziewiętnaście/dziewiętnastu",
    "cs": "dva/dvě/dvou/dvěma tři/tří/třemi/třech čtyři/čtyř/čtyřmi pět/pěti šest/šesti sedm/sedmi osm/osmi devět/devíti "
    "deset/deseti jedenáct/jedenácti dvanáct/dvanácti třináct/třinácti čtrnáct/čtrnácti patnáct/patnácti šestnáct/šestnácti "
    "sedmnáct/sedmnácti osmnáct/osmnácti devatenáct/devatenácti",
    "tr": "iki üç dört beş altı yedi sekiz dokuz on",
    "ro": "doi/două trei patru cinci șase/şase șapte/şapte opt nouă zece unsprezece doisprezece/douăsprezece treisprezece "
    "paisprezece cincisprezece șaisprezece/şaisprezece șaptesprezece/şaptesprezece optsprezece nouăsprezece",
    "hu": "kettő/két három négy öt hat hét nyolc kilenc tíz/tizen",
    "vi": "hai ba bốn/tư năm/lăm sáu bảy tám chín mười",
    "id": "dua tiga empat lima enam tujuh delapan sembilan sepuluh sebelas",
    "ru": "два/две/двух/двум/двумя/двое три/трёх/трех/трём/трем/тремя/трое четыре/четырёх/четырех/четырьмя пять/пяти/пятью "
    "шесть/шести семь/семи восемь/восьми девять/девяти десять/десяти одиннадцать/одиннадцати двенадцать/двенадцати "
    "тринадцать/тринадцати четырнадцать/четырнадцати пятнадцать/пятнадцати шестнадцать/шестнадцати семнадцать/семнадцати "
    "восемнадцать/восемнадцати девятнадцать/девятнадцати",
    "uk": "два/дві/двох/двом/двома три/трьох/трьом/трьома чотири/чотирьох п'ять/п’ять/п'яти/п’яти шість/шести сім/семи "
    "вісім/восьми дев'ять/дев’ять/дев'яти/дев’яти десять/десяти одинадцять/одинадцяти дванадцять/дванадцяти "
    "тринадцять/тринадцяти чотирнадцять/чотирнадцяти п'ятнадцять/п’ятнадцять шістнадцять сімнадцять вісімнадцять "
    "дев'ятнадцять/дев’ятнадцять",
    "bg": "два/две/двама три/трима четири пет шест седем осем девет десет единадесет/единайсет дванадесет/дванайсет "
    "тринадесет/тринайсет четиринадесет/четиринайсет петнадесет/петнайсет шестнадесет/шестнайсет седемнадесет/седемнайсет "
    "осемнадесет/осемнайсет деветнадесет/деветнайсет",
    "el": "δύο/δυο τρεις/τρία/τριών τέσσερις/τέσσερα/τεσσάρων πέντε έξι επτά/εφτά οκτώ/οχτώ εννέα/εννιά δέκα έντεκα "
    "δώδεκα δεκατρείς/δεκατρία δεκατέσσερις/δεκατέσσερα δεκαπέντε δεκαέξι δεκαεπτά δεκαοκτώ δεκαεννέα",
    "ar": "اثنان/اثنين/اثنتان/اثنتين ثلاثة/ثلاث أربعة/أربع خمسة/خمس ستة/ست سبعة/سبع ثمانية/ثماني تسعة/تسع عشرة/عشر",
    "he": "שניים/שתיים/שני/שתי שלוש/שלושה ארבע/ארבעה חמש/חמישה שש/שישה שבע/שבעה שמונה תשע/תשעה עשר/עשרה",
    "hi": "दो तीन चार पाँच/पांच छह/छः/छे सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह/पन्द्रह सोलह सत्रह अठारह उन्नीस",
}
"""From two on, in order; other forms of the same number after a slash."""
_TENS = {
    "de": "zwanzig dreißig/dreissig vierzig fünfzig sechzig siebzig achtzig neunzig",
    "fr": "vingt/vingts trente quarante cinquante soixante septante huitante/octante nonante",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "it": "venti/vent trenta/trent quaranta/quarant cinquanta/cinquant sessanta/sessant settanta/settant ottanta/ottant "
    "novanta/novant",
    "pt": "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
    "nl": "twintig dertig veertig vijftig zestig zeventig tachtig negentig",
    "sv": "tjugo trettio fyrtio femtio sextio sjuttio åttio nittio",
    "da": "tyve tredive fyrre halvtreds tres halvfjerds firs halvfems",
    "no": "tjue tretti førti femti seksti sytti åtti nitti",
    "fi": "kaksikymmentä kolmekymmentä neljäkymmentä viisikymmentä kuusikymmentä seitsemänkymmentä kahdeksankymmentä "
    "yhdeksänkymmentä",
    "pl": "dwadzieścia/dwudziestu trzydzieści/trzydziestu czterdzieści/czterdziestu pięćdziesiąt/pięćdziesięciu "
    "sześćdziesiąt/sześćdziesięciu siedemdziesiąt/siedemdziesięciu osiemdziesiąt/osiemdziesięciu "
    "dziewięćdziesiąt/dziewięćdziesięciu",
    "cs": "dvacet/dvaceti třicet/třiceti čtyřicet/čtyřiceti padesát/padesáti šedesát/šedesáti sedmdesát/sedmdesáti "
    "osmdesát/osmdesáti devadesát/devadesáti",
    "tr": "yirmi otuz kırk elli altmış yetmiş seksen doksan",
    "ro": "douăzeci treizeci patruzeci cincizeci șaizeci/şaizeci șaptezeci/şaptezeci optzeci nouăzeci",
    "hu": "húsz/huszon harminc negyven ötven hatvan hetven nyolcvan kilencven",
    "ru": "двадцать/двадцати тридцать/тридцати сорок/сорока пятьдесят/пятидесяти шестьдесят/шестидесяти "
    "семьдесят/семидесяти восемьдесят/восьмидесяти девяносто/девяноста",
    "uk": "двадцять/двадцяти тридцять/тридцяти сорок/сорока п'ятдесят/п’ятдесят шістдесят сімдесят вісімдесят "
    "дев'яносто/дев’яносто",
    "bg": "двадесет/двайсет тридесет/трийсет четиридесет/четирийсет петдесет шестдесет/шейсет седемдесет осемдесет деветдесет",
    "el": "είκοσι τριάντα σαράντα πενήντα εξήντα εβδομήντα ογδόντα ενενήντα",
    "ar": "عشرون/عشرين ثلاثون/ثلاثين أربعون/أربعين خمسون/خمسين ستون/ستين سبعون/سبعين ثمانون/ثمانين تسعون/تسعين",
    "he": "עשרים שלושים ארבעים חמישים שישים שבעים שמונים תשעים",
    "hi": "बीस तीस चालीस पचास साठ सत्तर अस्सी नब्बे",
}
_BIG = {
    "de": "hundert tausend million/millionen milliarde/milliarden",
    "fr": "cent/cents mille million/millions milliard/milliards",
    "es": "cien/ciento/cientos/cientas mil millón/millones -",
    "it": "cento mille/mila milione/milioni miliardo/miliardi",
    "pt": "cem/cento/centos mil milhão/milhões bilhão/bilhões",
    "nl": "honderd duizend miljoen miljard",
    "sv": "hundra tusen miljon/miljoner miljard/miljarder",
    "da": "hundrede tusind/tusinde million/millioner milliard/milliarder",
    "no": "hundre tusen million/millioner milliard/milliarder",
    "fi": "sata/sadan/sataa tuhat/tuhannen/tuhatta miljoona/miljoonaa miljardi/miljardia",
    "pl": "sto/stu tysiąc/tysiące/tysięcy milion/miliony/milionów miliard/miliardy/miliardów",
    "cs": "sto/sta/set tisíc/tisíce milion/miliony/milionů miliarda/miliardy/miliard",
    "tr": "yüz bin milyon milyar",
    "ro": "sută/sute mie/mii milion/milioane miliard/miliarde",
    "hu": "száz ezer millió milliárd",
    "vi": "trăm nghìn/ngàn triệu tỷ/tỉ",
    "id": "ratus/seratus ribu/seribu juta miliar",
    "ru": "сто/ста тысяча/тысячи/тысяч миллион/миллиона/миллионов миллиард/миллиарда/миллиардов",
    "uk": "сто/ста тисяча/тисячі/тисяч мільйон/мільйони/мільйонів мільярд/мільярди/мільярдів",
    "bg": "сто хиляда/хиляди милион/милиона милиард/милиарда",
    "el": "εκατό/εκατόν χίλια/χιλιάδες εκατομμύριο/εκατομμύρια δισεκατομμύριο/δισεκατομμύρια",
    "ar": "مئة/مائة ألف/آلاف مليون/ملايين مليار/مليارات",
    "he": "מאה/מאות אלף/אלפים מיליון מיליארד",
    "hi": "सौ हज़ार/हजार - अरब",
}
"""A hundred, a thousand, a million, a thousand million; a dash where there is no such word."""
_OTHERS = {
    "es": {
        "veintiún": 21,
        "veintiuno": 21,
        "veintidós": 22,
        "veintitrés": 23,
        "veinticuatro": 24,
        "veinticinco": 25,
        "veintiséis": 26,
        "veintisiete": 27,
        "veintiocho": 28,
        "veintinueve": 29,
        "doscientos": 200,
        "doscientas": 200,
        "trescientos": 300,
        "quinientos": 500,
        "setecientos": 700,
        "novecientos": 900,
    },
    "pt": {"duzentos": 200, "duzentas": 200, "trezentos": 300, "quinhentos": 500},
    "pl": {
        "dwieście": 200,
        "trzysta": 300,
        "czterysta": 400,
        "pięćset": 500,
        "sześćset": 600,
        "siedemset": 700,
        "osiemset": 800,
    },
    "cs": {"dvěstě": 200},
    "ru": {"двести": 200, "триста": 300, "четыреста": 400, "пятьсот": 500, "шестьсот": 600, "семьсот": 700, "восемьсот": 800},
    "uk": {"двісті": 200, "триста": 300, "чотириста": 400, "п'ятсот": 500, "п’ятсот": 500, "шістсот": 600},
    "bg": {"двеста": 200, "триста": 300, "четиристотин": 400, "петстотин": 500, "шестстотин": 600},
    "el": {"διακόσια": 200, "τριακόσια": 300, "τετρακόσια": 400, "πεντακόσια": 500},
    "he": {"מאתיים": 200, "אלפיים": 2000},
    "ar": {"مئتان": 200, "مئتين": 200, "ألفان": 2000, "ألفين": 2000},
    "hi": {"लाख": 100_000, "करोड़": 10_000_000},
    "vi": {"mươi": 10},
    "id": {"puluh": 10, "belas": 10},
}
ONES = {
    "de": "ein eins eine einer einen einem",
    "fr": "un une",
    "es": "un uno una ún",
    "it": "un uno una",
    "pt": "um uma",
    "nl": "een één",
    "sv": "en ett",
    "da": "en et",
    "no": "en ett én",
    "fi": "yksi yhden",
    "pl": "jeden jedna jedno",
    "cs": "jeden jedna jedno",
    "tr": "bir",
    "ro": "un unu una o",
    "hu": "egy",
    "vi": "một mốt",
    "id": "satu",
    "ru": "один одна одно",
    "uk": "один одна одне",
    "bg": "един една едно",
    "el": "ένας μία μια ένα",
    "he": "אחד אחת",
    "hi": "एक",
}
"""They count as parts of other numbers only: alone they are articles more often than not."""
JOINING = {
    "de": "und",
    "fr": "et",
    "es": "y",
    "it": "e",
    "pt": "e",
    "nl": "en ën",
    "sv": "och",
    "da": "og",
    "no": "og",
    "ro": "și şi",
    "bg": "и",
    "el": "και",
    "ar": "و",
    "he": "ו",
}
"""What may stand between the parts of one number."""
JOINED = {"id": frozenset({"belas"})}
"""Words that belong to the word before them with nothing between: "dua belas" is 12, while "dua puluh" is 20."""
ALSO_OTHER_WORDS: dict[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "fr": "neuf vingt",
        "it": "sei vent trent",
        "cs": "set sta",
        "da": "to tres firs ti",
        "no": "to ti",
        "tr": "on altı yedi yüz bin elli kırk",
        "ro": "nouă mie",
        "hu": "hat hét huszon tizen",
        "vi": "ba tư năm chín hai",
        "sv": "sex",
        "hi": "दो सौ",
        "he": "שני שתי שש עשר",
        "ar": "ست عشر ألف",
        "fi": "kuusi",
        "nl": "acht",
        "ru": "сорока",
    }.items()
}
"""Words that are numbers at times and something else at others: "neuf" is nine or new."""


def _values(code: str) -> dict[str, int]:
    found: dict[str, int] = {}
    listed = (
        *enumerate(_UNITS[code].split(), start=2),
        *zip(range(20, 100, 10), _TENS.get(code, "").split(), strict=False),
        *zip((100, 1000, 10**6, 10**9), _BIG[code].split(), strict=True),
    )
    for value, forms in listed:
        found.update(dict.fromkeys((form for form in forms.split("/") if form != "-" and "-" not in form), value))
    return found | _OTHERS.get(code, {})


NUMBER_VALUES: dict[str, dict[str, int]] = {code: _values(code) for code in _UNITS}
"""The value of each word by language. Composed numbers are made of these."""
