"""A world around the real storage code in which anything may happen at any moment, for Hypothesis to play with.

Each rule is something that a person, a worker, Redis, Discord or the bot does. What may follow is worked out a second
time, from the rows as they were; `promises` says what holds after every transaction.
"""
