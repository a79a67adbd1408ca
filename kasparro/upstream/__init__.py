"""Stand-in upstreams: CoinPaprika and CoinGecko on one port, made up from a seed, for the demo and the tests.

    options     what can be set: seed, tick, coins, keys, plans, limits
    coins       the seeded universe (known, names: what it is made of; prices: what it costs when)
    ticks       which tick it is, and answers remembered for as long as it lasts
    coinpaprika, coingecko            wire formats: a listing at a moment -> the JSON that upstream sends
    coinpaprika_paths, coingecko_paths   what each path answers
    gate        what comes before every answer: keys (access), limits, faults, and the request log after it
    control     /_control: faults on demand, the tick, the limits, the request log
    app, server routes, and the waitress server that the commands start and stop
    archives    the demo's CSV files, of the same coins at the same prices

Names, order and types of the fields are those of recorded answers; every coin, price and date is invented, save for the
names of well-known coins. Nothing here reads the service's own code beyond errors and clock.
"""
