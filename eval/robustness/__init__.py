"""Does a search answer the same where the same is asked in other words?"""
