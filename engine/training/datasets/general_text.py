"""English of many kinds, written for this project: what `anchor` holds a model's predictions on."""

from __future__ import annotations

_TEXTS: tuple[str, ...] = (
    (
        "The river rises in the hills above the town and runs east for ninety miles before it reaches the sea. In spring, "
        "when the snow melts, it often floods the low fields along its banks, and the farmers move their sheep to higher "
        "ground. An old stone bridge with five arches still carries the road across the water."
    ),
    (
        "Photosynthesis is the process by which green plants turn light into chemical energy. In the leaves, carbon "
        "dioxide from the air and water from the roots are combined into sugar, and oxygen is given off. Without it there "
        "would be hardly any oxygen in the atmosphere, and no food for animals."
    ),
    (
        '"You are late again," she said without looking up from her book. He put his wet coat over a chair and tried to '
        'smile. "The train stopped twice between stations, and nobody told us why. I would have called, but my phone was '
        'dead." She closed the book. "There is some soup left, if you want it."'
    ),
    (
        "To make a simple bread, mix five hundred grams of flour with a teaspoon of salt, a little yeast and about three "
        "hundred millilitres of warm water. Knead the dough for ten minutes, let it rise until it has doubled, shape it, "
        "and bake it in a hot oven for half an hour. It is done when it sounds hollow."
    ),
    (
        "The company said on Tuesday that its profits had fallen by a fifth in the third quarter, mainly because of "
        "higher costs for energy and transport. Analysts had expected worse, and the shares rose slightly. The board will "
        "meet next month to decide whether two of its older factories should be closed."
    ),
    (
        "def mean(values):\n"
        '    """Return the average of a list of numbers."""\n'
        "    if not values:\n"
        '        raise ValueError("the list is empty")\n'
        "    return sum(values) / len(values)"
    ),
    (
        "In 1666 a fire that began in a bakery destroyed most of London within four days. More than thirteen thousand "
        "houses and almost ninety churches were lost. The city was rebuilt in brick and stone, with wider streets, and "
        "the new cathedral became the best known work of its architect."
    ),
    (
        "Dear Mr Hughes, thank you for your letter of 3 May. We are sorry to hear that the lamp arrived broken. A new one "
        "was sent to you this morning and should reach you by the end of the week; please keep the old one until our "
        "driver collects it. Yours sincerely, Anna Berg."
    ),
    (
        "A triangle has three sides and three angles, which add up to one hundred and eighty degrees. If one of them is a "
        "right angle, the square of the longest side equals the sum of the squares of the other two. For example, sides "
        "of three, four and five units form such a triangle."
    ),
    (
        "The doctor listened to his chest, asked how long he had had the cough, and wrote something down. Most colds get "
        "better by themselves in a week or two, she explained. He should drink enough, rest, and come back if he had a "
        "fever or trouble breathing. Antibiotics do not help against viruses."
    ),
    (
        "Water expands when it freezes, which is why ice floats and why pipes burst in cold winters. Most other "
        "substances shrink. The reason lies in the shape of its molecules: in ice they form an open pattern of six-sided "
        "rings, which takes up more room than the disorder of the liquid."
    ),
    (
        "The committee agreed on the following points. First, the library will stay open until eight on weekdays. Second, "
        "the reading room is to be painted before the summer. Third, members who bring back books late shall no longer "
        "pay a fine, but may not borrow others until they have returned them."
    ),
    (
        "Once upon a time there lived a miller who had three sons and very little else. When he died, the eldest got the "
        'mill, the second the donkey, and the youngest nothing but the cat. "What shall I do with a cat?" he complained. '
        '"Give me a pair of boots," said the cat, "and you will see."'
    ),
    (
        "Many people learn a language best by using it from the first day. Listen to songs, read short stories, talk to "
        "yourself while cooking, and do not be afraid of mistakes. A few minutes each day are better than three hours on "
        "Sunday. After some months you will notice that you think in whole sentences."
    ),
    (
        "The match ended in a draw after the home side had led by two goals at half time. The goalkeeper saved a penalty "
        'in the last minute. "We were lucky today," the coach admitted, "but luck is part of the game." Next Saturday the '
        "team plays away against the leaders of the table."
    ),
    (
        "Light travels at about three hundred thousand kilometres a second. From the sun it needs a little more than "
        "eight minutes to reach us, from the nearest other star more than four years. When we look at distant galaxies we "
        "therefore see them as they were long before there were people on the earth."
    ),
    (
        "User: My printer prints only blank pages. What can I try? Assistant: Check first whether the cartridges are "
        "empty or dried out, and run the cleaning program once or twice. Make sure that the protective strip has been "
        "removed from new cartridges. If a copy is blank as well, the fault is in the printer and not in your computer."
    ),
    (
        "She had always wanted to see the desert at night. The sand was cold under her feet, and there were more stars "
        "than she had thought possible. Far away a dog barked. Nobody spoke. After a while their guide lit a small fire, "
        "made tea with a lot of sugar, and began to tell them about his grandfather."
    ),
    (
        "The gallery on the hill is open from ten until six except on Mondays. Admission is free for members; others pay at "
        "the desk, where maps in five languages are sold. Large bags must be left in the cloakroom. Guided tours start every "
        "hour in the main hall, and groups of more than twelve should write to the office beforehand."
    ),
    (
        "Our small hotel has eleven rooms, most of them with a view of the lake. Breakfast is served until ten in the garden "
        "room. Dogs are welcome for a small charge. The station is twenty minutes away on foot, and a taxi can be ordered at "
        "reception. Please tell us a day ahead if you will arrive after midnight."
    ),
    (
        "Every washing machine is tested before it leaves the factory. Should a part break within the first two years, we "
        "replace it free of charge; after that you pay for the part but not for the work. Keep the receipt, and note the "
        "number on the back of the door, because our technicians will ask you for it."
    ),
    (
        "The society was founded by a group of teachers who wanted to keep the old railway alive. Today it has about four "
        "hundred members, three steam engines and a museum in the former goods shed. Trains run on summer weekends. Tickets "
        "are sold on board, and children under six travel without one."
    ),
    (
        "How to care for your boots: brush off dry mud, wipe them with a damp cloth, and let them dry slowly, never on a "
        "heater. Rub in a little wax once a month and whenever the leather looks dull. Wet boots keep their shape if you "
        "stuff them with newspaper. Laces wear out first; buy a second pair with the boots."
    ),
    (
        "Minutes of the meeting. Mr Okafor reported that the roof over the sports hall had been repaired for less than was "
        "planned. The rest of the money will be spent on new lights. Mrs Lind asked why the car park is closed in the "
        "evening; the answer was that neighbours had complained of noise. The next meeting is on the ninth of March."
    ),
    (
        "Question: Can I have my order sent to another address? Answer: Yes, as long as it has not left our warehouse. Open "
        "the list of your orders, choose the one that you mean, and press change. You will get a message as soon as it is on "
        "its way; from then on only the carrier can help you."
    ),
    (
        "The island can be reached by ferry in forty minutes. In winter there are two crossings a day, in summer nine. Most "
        "visitors come for the birds, some for the lighthouse, whose keeper shows the lamp to anyone who climbs the hundred "
        "and twelve steps. The water around it is clear and cold, and only the brave go swimming."
    ),
)

GENERAL_TEXT = "\n\n".join(_TEXTS)
"""About 1,400 words: prose, speech, instructions, news, a letter, a program."""
