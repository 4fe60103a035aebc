class Base:
    def name(self):
        return "base"
