# Real-mode output to the BIOS's teletype and COM1, shared by both stages.

# Sets COM1 to 115200 8N1. Changes AL and DI.
serial_init:
    mov di, dx                      # keep the boot drive
    mov dx, 0x3fb
    mov al, 0x80                    # divisor latch on
    out dx, al
    mov dx, 0x3f8
    mov al, 1
    out dx, al
    inc dx
    xor al, al
    out dx, al
    mov dx, 0x3fb
    mov al, 3                       # 8N1, divisor latch off
    out dx, al
    mov dx, di
    ret

# Prints the NUL-terminated string at DS:SI and stops; QEMU's exit device, where there is one,
# ends the machine.
print_and_halt:
    lodsb
    test al, al
    jz 3f
    mov ah, 0x0e                    # teletype output, page 0
    mov bx, 7
    push ax
    int 0x10
    mov dx, 0x3fd
    mov cx, 0xffff
2:  in al, dx
    test al, 0x20                   # transmitter empty?
    loopz 2b
    mov dx, 0x3f8
    pop ax
    out dx, al
    jmp print_and_halt
3:  mov al, {BAD_IMAGE}
    out {EXIT_PORT}, al
4:  cli
    hlt
    jmp 4b
